// Restores elsewhere: codes that let a computer without a system in, and what may be fetched by it, or by
// muletto-restore with an operator's token.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/rescue/point_fetches.h"
#include "appliance/rescue/rescue_codes.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
using rescue::RescueCodes;

constexpr size_t kMaxMachines = 64;
constexpr uint64_t kMinuteMs = 60'000;

json code_json(const rescue::RescueCode& code) {
  return {{"id", code.id},
          {"tenant", code.tenant.text()},
          {"machines", code.machines},
          {"requested_by", code.requested_by},
          {"used", code.is_used},
          {"expires", base::format_time_ms(code.expires_ms)}};
}

// {"machines", "minutes"?}: the code is only in this answer.
Response make_code(Services& services, const Request& request) {
  BodyFields body(request.body);
  rescue::RescueOrder order{.tenant = request.tenant()};
  for (const std::string& name : body.texts("machines", kMaxMachines)) {
    images::StoreReader& reader = services.stores.writer(order.tenant)->reader();
    if (reader.points_of(name).empty()) {
      throw Error(ErrorCode::not_found,
                  "there is no point of a machine '" + name + "' that could be restored");
    }
    order.machines.insert(name);
  }
  order.lifetime_ms = body.natural("minutes", 1, RescueCodes::kMaxLifetimeMs / kMinuteMs)
                          .value_or(RescueCodes::kDefaultLifetimeMs / kMinuteMs) *
                      kMinuteMs;
  body.require_no_more();
  if (order.machines.empty())
    throw Error(ErrorCode::invalid_argument, "name the machines whose points may be read");
  auto made = services.rescue_codes->make(order, request.requester());
  json answer = code_json(made.code);
  answer["code"] = made.secret;
  answer["address"] = services.public_address();
  answer["fingerprint"] = services.authority.fingerprint();
  return json_response({{"rescue", answer}}, 201);
}

Response list_codes(Services& services, const Request& request) {
  json list = json::array();
  for (const rescue::RescueCode& code : services.rescue_codes->list(request.scope()))
    list.push_back(code_json(code));
  return json_response({{"rescues", list}});
}

Response revoke_code(Services& services, const Request& request) {
  auto id = static_cast<uint64_t>(number_in(request, "id"));
  services.rescue_codes->revoke(id, request.scope());
  services.fetches->cut(id);
  return json_response({{"revoked", true}});
}

Response begin_session(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string code = body.required_text("code");
  body.require_no_more();
  auto made = services.rescue_codes->exchange(code);
  json answer = code_json(made.code);
  answer["token"] = made.secret;
  return json_response({{"rescue", answer}}, 201);
}

json fetchable_json(images::StoreReader& reader, const images::Point& point) {
  uint64_t size = 0;
  json disks = json::array();
  for (const images::PointDisk& disk : point.disks) {
    disks.push_back({{"name", disk.name}, {"size", disk.size}});
    size += disk.size;
  }
  json boot = nullptr, hold = nullptr;
  try {
    images::PointMarks marks = reader.marks(point.id);
    boot = boot_mark_json(marks.boot);
    if (marks.hold) hold = marks.hold->reason;
  } catch (const Error&) {
    // Damaged marks say nothing about the data.
  }
  return {{"id", point.id.hex()},
          {"machine", point.machine_name},
          {"time", base::format_time_ms(point.time_ms)},
          {"host_time", base::format_time_ms(point.dates.host_time_ms)},
          {"size", size},
          {"consistency", images::consistency_name(point.consistency)},
          {"firmware", images::firmware_name(point.definition.firmware)},
          {"disks", disks},
          {"boot", boot},
          {"hold", hold}};
}

// ?machine=: only its points. Newest last, as in the store.
Response list_fetchable(Services& services, const Request& request) {
  auto store = services.stores.writer(request.tenant());
  images::StoreReader& reader = store->reader();
  std::string machine = request.query_value("machine");
  auto points = machine.empty() ? reader.points() : reader.points_of(machine);
  auto limit = request.query_number("limit", 500, 5000);
  const auto& allowed = request.principal.rescued_machines;
  std::erase_if(points, [&](const images::PointSummary& point) {
    return !allowed.empty() && !allowed.contains(point.machine_name);
  });
  json list = json::array();
  for (size_t i = points.size() - std::min<size_t>(points.size(), limit); i < points.size(); ++i)
    list.push_back(fetchable_json(reader, reader.read_point(points[i].id)));
  return json_response(
      {{"store", reader.id().hex()}, {"points", list}, {"more", points.size() > limit}});
}

Response show_fetchable(Services& services, const Request& request) {
  auto store = services.stores.writer(request.tenant());
  images::StoreReader& reader = store->reader();
  images::Point point = rescue::find_fetchable(reader, request.path_value("point"),
                                               request.principal.rescued_machines);
  return json_response({{"store", reader.id().hex()}, {"point", fetchable_json(reader, point)}});
}

}  // namespace

void add_rescue_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/rescues", Privilege::point_restore, Resource::tenant, list_codes},
          {"POST", "/api/v1/rescues", Privilege::point_restore, Resource::machine, make_code},
          {"DELETE", "/api/v1/rescues/{id}", Privilege::point_restore, Resource::token,
           revoke_code},
          {"POST", "/api/v1/rescue-sessions", Privilege::none, Resource::nothing, begin_session},
          {"GET", "/api/v1/fetch/points", Privilege::point_fetch, Resource::tenant, list_fetchable},
          {"GET", "/api/v1/fetch/points/{point}", Privilege::point_fetch, Resource::point,
           show_fetchable},
      });
}

}  // namespace appliance::api
