// Starting several instant VMs in order.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/api/routes/boot_options.h"
#include "appliance/api/routes/routes.h"
#include "appliance/recovery/boot_sequence.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxMembers = 200;
constexpr uint64_t kMaxDelayMs = 3'600'000;

// Points are looked up before the job is made, so that a wrong one is answered at once.
void name_members(Services& services, const access::TenantName& tenant,
                  const std::vector<std::vector<std::string>>& selectors, bool all,
                  recovery::BootSequencePlan& plan) {
  auto writer = services.stores.writer(tenant);
  std::vector<std::string> named;
  auto member = [&](const std::string& selector) {
    images::PointId point = writer->reader().find_point(selector);
    named.push_back(writer->reader().read_point(point).machine_name);
    return recovery::BootSequencePlan::Member{point, named.back()};
  };
  for (const std::vector<std::string>& group : selectors) {
    if (group.empty()) continue;
    plan.groups.emplace_back();
    for (const std::string& selector : group) plan.groups.back().push_back(member(selector));
  }
  if (all) {
    std::vector<recovery::BootSequencePlan::Member> rest;
    for (const catalog::Machine& machine : services.catalog.machines(tenant)) {
      if (machine.point_count == 0) continue;
      if (std::find(named.begin(), named.end(), machine.name) == named.end())
        rest.push_back(member(machine.name + "@latest"));
    }
    if (!rest.empty()) plan.groups.push_back(std::move(rest));
  }
  if (named.empty() || named.size() > kMaxMembers) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("name the points to start: 1 to {}", kMaxMembers));
  }
  std::sort(named.begin(), named.end());
  auto twice = std::adjacent_find(named.begin(), named.end());
  if (twice != named.end())
    throw Error(ErrorCode::invalid_argument, fmt::format("{} is named twice", *twice));
}

Response start_boot_sequence(Services& services, const Request& request) {
  BodyFields body(request.body);
  auto selectors = body.text_lists("groups", kMaxMembers);
  bool all = body.flag("all");
  recovery::BootSequencePlan plan;
  std::optional<Original> original;
  plan.options = parse_boot_options(body, original);
  plan.wait = parse_wait_plan(body);
  if (auto delay = body.text("delay")) plan.delay_ms = base::parse_duration_ms(*delay);
  if (plan.delay_ms > kMaxDelayMs)
    throw Error(ErrorCode::invalid_argument, "the delay is longer than an hour");
  plan.max_concurrent =
      static_cast<uint32_t>(body.natural("at_once", 1, recovery::kMaxConcurrent).value_or(0));
  plan.keep_going = body.flag("keep_going");
  body.require_no_more();
  access::TenantName tenant = request.tenant();
  name_members(services, tenant, selectors, all, plan);
  // Before any of them is started.
  for (const auto& group : plan.groups) {
    for (const auto& member : group) require_settled(services, tenant, member.machine, original);
  }
  return accepted(
      services, recovery::submit_sequence(services.recovery(), tenant, plan, request.requester()));
}

}  // namespace

void add_boot_sequence_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"POST", "/api/v1/boot-orders", Privilege::vm_start, Resource::point,
                  start_boot_sequence},
             });
}

}  // namespace appliance::api
