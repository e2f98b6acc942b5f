#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/boot_options.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxCpus = 1024;
constexpr uint64_t kMinMemory = 16ull << 20;
constexpr uint64_t kMaxMemory = 1ull << 46;
constexpr size_t kMaxNetworks = 64;
constexpr uint64_t kMaxShutdownTimeoutS = 3600;
constexpr auto kOriginals =
    base::enum_names<Original>("what is said of the original",
                               {{Original::beside, "beside"}, {Original::replaced, "replaced"}});

boot::BootChanges boot_changes(BodyFields& body) {
  boot::BootChanges changes;
  if (auto name = body.text("restart")) changes.restart = boot::restart_policy_from_name(*name);
  if (auto name = body.text("timeline")) changes.timeline = boot::timeline_from_name(*name);
  return changes;
}

}  // namespace

boot::BootOptions parse_boot_options(BodyFields& body, std::optional<Original>& original) {
  boot::BootOptions options;
  original.reset();
  if (auto name = body.text("original")) original = kOriginals.value(*name);
  if (auto count = body.natural("cpu_count", 1, kMaxCpus))
    options.cpu_count = static_cast<uint32_t>(*count);
  options.memory_size = body.natural("memory_size", kMinMemory, kMaxMemory);
  if (auto name = body.text("disk_bus")) options.disk_bus = boot::disk_bus_from_name(*name);
  if (auto name = body.text("firmware")) options.firmware = images::firmware_from_name(*name);
  for (const std::string& name : body.texts("networks", kMaxNetworks)) {
    options.networks.push_back(boot::network_choice_from_name(name));
  }
  if (body.flag("fresh_macs")) options.macs = boot::MacChoice::fresh;
  options.accept_damage = body.flag("accept_damage");
  if (auto name = body.text("prepare"))
    options.windows = boot::windows_preparation_from_name(*name);
  boot::BootChanges changes = boot_changes(body);
  options.restart = changes.restart.value_or(options.restart);
  boot::Timeline usual =
      original == Original::beside ? boot::Timeline::production : options.timeline;
  options.timeline = changes.timeline.value_or(usual);
  return options;
}

void require_settled(Services& services, const access::TenantName& tenant,
                     const std::string& machine, std::optional<Original> original) {
  if (original) return;
  auto running = services.scheduler.running_original(tenant, machine);
  if (!running) return;
  throw base::Error(
      base::ErrorCode::busy,
      fmt::format("'{}' was seen running on its host '{}' {} ago. To try a copy out beside it: "
                  "--original beside, and its host continues to sync it. If the copy is to take "
                  "its place: --original replaced, and its host's syncs are refused from then on",
                  machine, running->host_name, base::format_duration_ms(running->age_ms)));
}

namespace {

// The body of POST /boots and /boots/check. The point is looked up at once, so that a wrong one is
// reported at once.
struct BootOrder {
  BootOrder(Services& services, const Request& request) : tenant(request.tenant()) {
    BodyFields body(request.body);
    std::string selector = body.required_text("point");
    options = parse_boot_options(body, original);
    body.require_no_more();
    writer = services.stores.writer(tenant);
    point = writer->reader().find_point(selector);
  }

  access::TenantName tenant;
  boot::BootOptions options;
  std::optional<Original> original;
  std::shared_ptr<images::StoreWriter> writer;
  images::PointId point;
};

Response start_boot(Services& services, const Request& request) {
  BootOrder order(services, request);
  std::string machine = order.writer->reader().read_point(order.point).machine_name;
  require_settled(services, order.tenant, machine, order.original);
  return accepted(
      services, recovery::submit_start(services.recovery(), {order.tenant, order.point, machine,
                                                             order.options, request.requester()}));
}

// Answers what a start would do, and every reason against it.
Response check_boot(Services& services, const Request& request) {
  BootOrder order(services, request);
  json result = boot_check_json(
      services.boots.check(recovery::point_source(services.recovery(), order.tenant, *order.writer),
                           order.point, order.options));
  std::string machine = result["machine"];
  result["original"] = nullptr;
  if (auto running = services.scheduler.running_original(order.tenant, machine)) {
    result["original"] = {
        {"machine", machine}, {"host", running->host_name}, {"age_ms", running->age_ms}};
  }
  try {
    require_settled(services, order.tenant, machine, order.original);
  } catch (const base::Error& error) {
    result["possible"] = false;
    result["reasons"].push_back(error.message());
  }
  result["point"] = order.point.hex();
  return json_response({{"check", result}});
}

Response list_boots(Services& services, const Request& request) {
  json list = json::array();
  for (const boot::InstantVm& vm : services.boots.list(request.scope()))
    list.push_back(boot_json(vm));
  return json_response({{"boots", list},
                        {"node", services.node.hex()},
                        {"problems", problems_json(services, request.tenant(), Asked::libvirt)}});
}

Response show_boot(Services& services, const Request& request) {
  boot::InstantVm vm = find_boot(services, request);
  json result = boot_json(vm);
  bool up = (vm.state == boot::VmState::running || vm.state == boot::VmState::paused) &&
            services.boots.is_own(vm);  // another's guest cannot be asked from here
  result["addresses"] = up ? services.boots.addresses(vm.id) : std::vector<std::string>{};
  return json_response({{"boot", result}});
}

Response stop_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  boot::StopOptions options;
  options.keep_overlay = body.required_flag("keep_overlay");
  options.shutdown_timeout_s = static_cast<uint32_t>(
      body.natural("shutdown_timeout_s", 0, kMaxShutdownTimeoutS).value_or(0));
  body.require_no_more();
  boot::InstantVm vm = find_boot(services, request);
  return accepted(services,
                  recovery::submit_stop(services.recovery(), vm, options, request.requester()));
}

Response change_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  boot::BootChanges changes = boot_changes(body);
  body.require_no_more();
  boot::InstantVm vm = services.boots.change(find_boot(services, request).id, changes);
  return json_response({{"boot", boot_json(vm)}});
}

Response power_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  boot::PowerAction action = boot::power_action_from_name(body.required_text("action"));
  body.require_no_more();
  boot::InstantVm vm = find_boot(services, request);
  services.boots.power(vm.id, action);
  return json_response({{"boot", boot_json(services.boots.get(vm.id))}});
}

Response unprepare_boot(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return json_response(
      {{"boot", boot_json(services.boots.unprepare(find_boot(services, request).id))}});
}

Response wait_for_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  recovery::WaitPlan plan = parse_wait_plan(body);
  body.require_no_more();
  boot::InstantVm vm = find_boot(services, request);
  return accepted(services,
                  recovery::submit_wait(services.recovery(), vm, plan, request.requester()));
}

}  // namespace

boot::InstantVm find_boot(Services& services, const Request& request) {
  return services.boots.get(services.boots.find(request.path_value("boot"), request.scope()));
}

void add_boot_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/boots", Privilege::vm_view, Resource::tenant, list_boots},
          {"POST", "/api/v1/boots", Privilege::vm_start, Resource::point, start_boot},
          {"POST", "/api/v1/boots/check", Privilege::vm_start, Resource::point, check_boot},
          {"GET", "/api/v1/boots/{boot}", Privilege::vm_view, Resource::vm, show_boot},
          {"POST", "/api/v1/boots/{boot}/stop", Privilege::vm_stop, Resource::vm, stop_boot},
          {"PUT", "/api/v1/boots/{boot}/settings", Privilege::vm_change, Resource::vm, change_boot},
          {"POST", "/api/v1/boots/{boot}/power", Privilege::vm_power, Resource::vm, power_boot},
          {"POST", "/api/v1/boots/{boot}/unprepare", Privilege::vm_change, Resource::vm,
           unprepare_boot},
          {"POST", "/api/v1/boots/{boot}/wait", Privilege::vm_view, Resource::vm, wait_for_boot},
      });
}

}  // namespace appliance::api
