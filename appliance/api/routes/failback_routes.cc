// /api/v1/failbacks: running instant VMs on their way home.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/failback/failback_service.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using catalog::Failback;
using nlohmann::json;

constexpr size_t kMaxHomeNetworks = 64;
constexpr uint64_t kFailbackDayMs = 24ull * 3'600'000;
constexpr uint64_t kKeepVmMs = 7 * kFailbackDayMs,
                   kGuestShutdownMs = 5 * 60'000;  // unless the body says otherwise

json failback_json(const Failback& row) {
  json failback{{"id", row.id},
                {"tenant", row.tenant.text()},
                {"machine", row.machine},
                {"boot", row.boot},
                {"host", row.host_name},
                {"step", catalog::failback_step_name(row.step)},
                {"holder", row.holder},
                {"paused", row.is_paused},
                {"switch_wanted", row.wants_switch},
                {"requested_by", row.requested_by},
                {"created", base::format_time_ms(row.created_ms)},
                {"step_began", base::format_time_ms(row.step_ms)},
                {"ended", nullptr},
                {"at", nullptr},
                {"point", nullptr},
                {"problem", text_or_null(row.problem)},
                {"job", nullptr},
                {"differing", row.differing},
                {"rounds", row.rounds},
                {"last_written", row.last_written},
                {"predicted_ms", nullptr},
                {"pause_ms", nullptr},
                {"limit_ms", nullptr},
                {"bandwidth", nullptr}};
  if (row.ended_ms) failback["ended"] = base::format_time_ms(*row.ended_ms);
  if (row.plan.at_ms) failback["at"] = base::format_time_ms(*row.plan.at_ms);
  if (row.point) failback["point"] = row.point->hex();
  if (row.job != 0) failback["job"] = row.job;
  if (row.predicted_ms != 0) failback["predicted_ms"] = row.predicted_ms;
  if (row.pause_ms != 0) failback["pause_ms"] = row.pause_ms;
  if (row.plan.limit_ms != 0) failback["limit_ms"] = row.plan.limit_ms;
  if (row.plan.rate != 0) failback["bandwidth"] = row.plan.rate;
  return failback;
}

Response failback_answer(const Failback& row, int status = 200) {
  return json_response({{"failback", failback_json(row)}}, status);
}

[[noreturn]] void refuse_failback(const std::string& sentence) {
  throw Error(ErrorCode::invalid_argument, sentence);
}

// Where to. The host decides what it lets be written.
json home_target_of(BodyFields& body, const boot::InstantVm& vm, const std::string& host) {
  json target{{"targets", json::array()}, {"networks", json::array()}};
  bool is_in_place = body.flag("in_place");
  target["in_place"] = is_in_place;
  target["format"] = body.text("format").value_or("qcow2");
  if (target["format"] != "qcow2" && target["format"] != "raw")
    refuse_failback("a host's disk has the format raw or qcow2");
  if (auto folder = body.text("folder")) target["folder"] = *folder;
  if (is_in_place == target.contains("folder"))
    refuse_failback("say where the disks go, in one way: 'in_place' or 'folder'");
  if (auto name = body.text("name")) {
    base::check_name(*name, "machine's name");
    if (is_in_place) refuse_failback("a machine that goes home 'in_place' keeps its name");
    target["name"] = *name;
  }
  for (auto& network : body.text_objects("networks", {"from", "to"}, kMaxHomeNetworks)) {
    base::check_name(network["to"], "network's name");
    target["networks"].push_back(network);
  }
  target["overwrite"] = body.text("overwrite").value_or("");
  target["erase_foreign"] = body.flag("erase_foreign");
  if (is_in_place && target["overwrite"] != vm.machine_name) {
    refuse_failback(
        fmt::format("this overwrites the disks of '{0}' on the host '{1}': confirm it with "
                    "'overwrite': '{0}'",
                    vm.machine_name, host));
  }
  return target;
}

Response start_failback(Services& services, const Request& request) {
  BodyFields body(request.body);
  boot::BootId boot = services.boots.find(body.required_text("boot"), request.scope());
  boot::InstantVm vm = services.boots.get(boot);
  catalog::Host host = services.catalog.host(body.required_text("host"), vm.tenant);
  catalog::FailbackPlan plan;
  json target = home_target_of(body, vm, host.name);
  plan.is_in_place = target["in_place"] == true;
  plan.target = base::dump_text(target);
  if (auto at = body.text("at")) plan.at_ms = base::parse_time_ms(*at);
  plan.limit_ms = body.natural("limit_ms", 1, kFailbackDayMs).value_or(0);
  plan.rate = body.natural("bandwidth", 1, 1ull << 40).value_or(0);
  plan.keep_ms = body.natural("keep_ms", 0, 400 * kFailbackDayMs).value_or(kKeepVmMs);
  plan.shutdown_ms = body.natural("shutdown_ms", 1000, kFailbackDayMs).value_or(kGuestShutdownMs);
  if (auto end = body.text("end")) plan.end = catalog::failback_end_from_name(*end);
  bool finish = body.flag("finish");
  body.require_no_more();
  Failback row = services.failbacks->start(boot, host, plan, request.requester());
  if (finish) row = services.failbacks->finish(row.id, request.scope());
  return failback_answer(row, 201);
}

Response list_failbacks(Services& services, const Request& request) {
  bool over_too = request.query_number("all", 0, 1) == 1;
  json list = json::array();
  for (const Failback& row : services.failbacks->list(request.scope(), over_too))
    list.push_back(failback_json(row));
  return json_response({{"failbacks", list}});
}

Response show_failback(Services& services, const Request& request) {
  return failback_answer(services.failbacks->get(number_in(request, "failback"), request.scope()));
}

Response finish_failback(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return failback_answer(
      services.failbacks->finish(number_in(request, "failback"), request.scope()));
}

Response cancel_failback(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return failback_answer(
      services.failbacks->cancel(number_in(request, "failback"), request.scope()));
}

Response pause_failback(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return failback_answer(
      services.failbacks->pause(number_in(request, "failback"), request.scope(), true));
}

Response continue_failback(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return failback_answer(
      services.failbacks->pause(number_in(request, "failback"), request.scope(), false));
}

Response keep_failback(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string confirmed = body.text("home_is_off").value_or("");
  body.require_no_more();
  int64_t id = number_in(request, "failback");
  Failback row = services.failbacks->get(id, request.scope());
  if (!confirmed.empty() && confirmed != row.machine) {
    refuse_failback(
        fmt::format("'home_is_off' vouches that '{0}' is off on '{1}' and is never started "
                    "there: confirm it with the machine's name, '{0}'",
                    row.machine, row.host_name));
  }
  return failback_answer(services.failbacks->keep(id, request.scope(), !confirmed.empty()));
}

}  // namespace

void add_failback_routes(Router& router, Services& services) {
  constexpr auto kNeeded = Privilege::host_restore;
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/failbacks", Privilege::vm_view, Resource::tenant, list_failbacks},
          {"POST", "/api/v1/failbacks", kNeeded, Resource::tenant, start_failback},
          {"GET", "/api/v1/failbacks/{failback}", Privilege::vm_view, Resource::vm, show_failback},
          {"POST", "/api/v1/failbacks/{failback}/finish", kNeeded, Resource::vm, finish_failback},
          {"POST", "/api/v1/failbacks/{failback}/cancel", kNeeded, Resource::vm, cancel_failback},
          {"POST", "/api/v1/failbacks/{failback}/pause", kNeeded, Resource::vm, pause_failback},
          {"POST", "/api/v1/failbacks/{failback}/continue", kNeeded, Resource::vm,
           continue_failback},
          {"POST", "/api/v1/failbacks/{failback}/keep", kNeeded, Resource::vm, keep_failback},
      });
}

}  // namespace appliance::api
