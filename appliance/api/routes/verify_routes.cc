#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "appliance/catalog/verification_records.h"
#include "appliance/verify/verify_service.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxListed = 1000;
constexpr size_t kMaxChecks = 50;

// From the catalog: a value that can no longer be read counts as an empty list, and hides nothing
// else.
json kept_list(const std::string& text) {
  return base::find_json(text, base::kOwnJsonLimits).value_or(json::array());
}

json correction_json(const catalog::Verification& seen) {
  if (!seen.correction) return nullptr;
  return {{"given_verdict", seen.correction->given_verdict},
          {"reason", seen.correction->reason},
          {"corrected_by", seen.correction->corrected_by},
          {"corrected", base::format_time_ms(seen.correction->corrected_ms)}};
}

Response start_verification(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string point = body.required_text("point");
  body.require_no_more();
  return accepted(services, services.verification->request(request.tenant(), point, "order",
                                                           request.requester()));
}

Response list_verifications(Services& services, const Request& request) {
  std::string machine = request.query_value("machine");
  auto limit = static_cast<uint32_t>(request.query_number("limit", 50, kMaxListed));
  json list = json::array();
  for (const auto& seen : services.catalog.verifications(request.tenant(), machine, limit))
    list.push_back(verification_json(seen));
  json answer{{"verifications", list},
              {"problems", problems_json(services, request.tenant(), Asked::all)}};
  if (!machine.empty())
    answer["recovery"] = recovery_json(services.verification->recovery(request.tenant(), machine));
  return json_response(answer);
}

Response show_verification(Services& services, const Request& request) {
  catalog::Verification seen =
      services.catalog.verification(request.tenant(), number_in(request, "number"));
  json result = verification_json(seen);
  result["evidence"] = kept_list(seen.evidence);
  result["serial"] = seen.serial;
  json pictures = json::array();
  for (const auto& picture : services.catalog.verification_pictures(seen.number))
    pictures.push_back({{"at_ms", picture.at_ms}, {"text", picture.text}});
  result["pictures"] = pictures;
  return json_response({{"verification", result}});
}

Response show_picture(Services& services, const Request& request) {
  catalog::Verification seen =
      services.catalog.verification(request.tenant(), number_in(request, "number"));
  auto pictures = services.catalog.verification_pictures(seen.number);
  auto index = static_cast<size_t>(number_in(request, "picture"));
  if (index > pictures.size()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("test boot {} has {} pictures", seen.number, pictures.size()));
  }
  Response response;
  response.content_type = "image/png";
  response.body = std::string(base::as_text(pictures[index - 1].png));
  return response;
}

Response show_checks(Services& services, const Request& request) {
  const std::string& machine = request.path_value("name");
  services.catalog.machine(request.tenant(), machine);
  json asked = json::array(), learned = json::array();
  for (const auto& each : services.verification->expectations(request.tenant(), machine))
    (each.learned ? learned : asked).push_back(each.check);
  return json_response({{"checks", asked}, {"learned", learned}});
}

Response set_checks(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::vector<std::string> checks = body.texts("checks", kMaxChecks);
  body.require_no_more();
  services.verification->set_checks(request.tenant(), request.path_value("name"), checks);
  return show_checks(services, request);
}

Response relearn(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  services.verification->relearn(request.tenant(), request.path_value("name"));
  return show_checks(services, request);
}

// Never the secrets.
Response show_keys(Services& services, const Request& request) {
  const std::string& machine = request.path_value("name");
  services.catalog.machine(request.tenant(), machine);
  json keys = json::array();
  for (const auto& each : services.verification->volume_keys().list(request.tenant(), machine))
    keys.push_back({{"name", each.name}, {"added", base::format_time_ms(each.added_ms)}});
  return json_response({{"keys", keys}});
}

// {"name", "secret" | "secret_hex"}: a text as it is typed, or bytes.
Response add_key(Services& services, const Request& request) {
  const std::string& machine = request.path_value("name");
  services.catalog.machine(request.tenant(), machine);
  BodyFields body(request.body);
  images::volumes::VolumeKey key;
  key.name = body.required_text("name");
  auto text = body.text("secret"), hex = body.text("secret_hex");
  body.require_no_more();
  if (text.has_value() == hex.has_value()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "give either 'secret', a text, or 'secret_hex', bytes");
  }
  if (hex) key.secret = base::from_hex(*hex, hex->size() / 2);
  else key.secret.assign(text->begin(), text->end());
  services.verification->volume_keys().add(request.tenant(), machine, key);
  return show_keys(services, request);
}

Response remove_key(Services& services, const Request& request) {
  const std::string& machine = request.path_value("name");
  services.catalog.machine(request.tenant(), machine);
  services.verification->volume_keys().remove(request.tenant(), machine, request.path_value("key"));
  return show_keys(services, request);
}

Response start_bisect(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return accepted(services, services.verification->request_bisect(
                                request.tenant(), request.path_value("name"), request.requester()));
}

}  // namespace

int64_t number_in(const Request& request, const char* name) {
  const std::string& text = request.path_value(name);
  int64_t number = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || number < 1) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("'{}' is not a number; see 'muletto verify list'", text.substr(0, 80)));
  }
  return number;
}

json verification_json(const catalog::Verification& seen) {
  return {{"number", seen.number},
          {"machine", seen.machine_name},
          {"point", seen.point.hex()},
          {"point_time", base::format_time_ms(seen.point_time_ms)},
          {"why", seen.why},
          {"verdict", seen.verdict},
          {"reasons", kept_list(seen.reasons)},
          {"checks", kept_list(seen.checks)},
          {"recovery_ms", seen.recovery_ms ? json(*seen.recovery_ms) : json(nullptr)},
          {"started", base::format_time_ms(seen.started_ms)},
          {"duration_ms", seen.duration_ms},
          {"decisive_ms", seen.decisive_ms ? json(*seen.decisive_ms) : json(nullptr)},
          {"judged_ms", seen.judged_ms},
          {"settled", seen.settled},
          {"picture_count", seen.picture_count},
          {"correction", correction_json(seen)}};
}

json recovery_json(const catalog::ProvedRecovery& proved) {
  bool known = proved.trend != catalog::Trend::unknown;
  return {{"count", proved.count},
          {"last_ms", proved.last_ms},
          {"median_ms", proved.median_ms},
          {"recent_ms", proved.recent_ms},
          {"trend", catalog::trend_name(proved.trend)},
          {"earlier_ms", known ? json(proved.earlier_ms) : json(nullptr)},
          {"change_percent", known ? json(proved.change_percent) : json(nullptr)}};
}

void add_verify_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/verifications", Privilege::verification_view, Resource::tenant,
                  list_verifications},
                 {"POST", "/api/v1/verifications", Privilege::verification_start, Resource::point,
                  start_verification},
                 {"GET", "/api/v1/verifications/{number}", Privilege::verification_view,
                  Resource::verification, show_verification},
                 {"GET", "/api/v1/verifications/{number}/pictures/{picture}",
                  Privilege::verification_view, Resource::verification, show_picture},
                 {"GET", "/api/v1/machines/{name}/checks", Privilege::verification_view,
                  Resource::machine, show_checks},
                 {"PUT", "/api/v1/machines/{name}/checks", Privilege::verification_change,
                  Resource::machine, set_checks},
                 {"POST", "/api/v1/machines/{name}/checks/relearn", Privilege::verification_change,
                  Resource::machine, relearn},
                 {"GET", "/api/v1/machines/{name}/volume-keys", Privilege::verification_view,
                  Resource::machine, show_keys},
                 {"POST", "/api/v1/machines/{name}/volume-keys", Privilege::verification_change,
                  Resource::machine, add_key},
                 {"DELETE", "/api/v1/machines/{name}/volume-keys/{key}",
                  Privilege::verification_change, Resource::machine, remove_key},
                 {"POST", "/api/v1/machines/{name}/bisect", Privilege::verification_start,
                  Resource::machine, start_bisect},
             });
}

}  // namespace appliance::api
