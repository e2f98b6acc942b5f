#include "appliance/api/routes/problems.h"

#include <fmt/format.h>

#include "appliance/presence/presence.h"
#include "appliance/presence/store_conditions.h"
#include "appliance/schedule/duties.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

// From the last check: a list must not wait for a disk that hangs.
void add_store(json& problems, Services& services, const catalog::TenantName& tenant) {
  bool is_known = false;
  for (const stores::StoreStanding& store : services.stores.standings()) {
    if (store.tenant != tenant) continue;
    is_known = true;
    for (const alerts::Condition& each : presence::store_conditions({store}))
      problems.push_back(each.message);
  }
  if (!is_known)
    problems.push_back(fmt::format("the store of '{}' has not been checked yet", tenant));
}

// Duties that the appliance is failing to do now.
void add_duties(json& problems, Services& services) {
  for (const schedule::DutyFailure& duty : services.duties->failures()) {
    problems.push_back(fmt::format("{} (since {}: {})", duty.what,
                                   base::format_time_ms(duty.since_ms), duty.error));
  }
}

}  // namespace

json problems_json(Services& services, const catalog::TenantName& tenant, Asked asked) {
  json problems = json::array();
  if (asked != Asked::libvirt) add_store(problems, services, tenant);
  if (asked == Asked::store || services.presence == nullptr) return problems;
  for (const presence::NeedStanding& need : services.presence->standings()) {
    if (need.problem.empty() || !need.is_for_duties ||
        (asked == Asked::libvirt && need.name != "libvirt"))
      continue;
    problems.push_back(
        fmt::format("{}: {} (needed for {})", need.name, need.problem, need.purpose));
  }
  if (asked == Asked::all) add_duties(problems, services);
  return problems;
}

json store_standing_json(const stores::StoreStanding& standing) {
  return {{"state", stores::store_state_name(standing.state)},
          {"problem", standing.problem.empty() ? json(nullptr) : json(standing.problem)},
          {"since", base::format_time_ms(standing.since_ms)},
          {"directory", standing.directory},
          {"id", standing.id ? json(standing.id->hex()) : json(nullptr)},
          {"encrypted", standing.encrypted},
          {"missing_point_count", standing.missing_points}};
}

json needs_json(Services& services) {
  json needs = json::array();
  if (services.presence == nullptr) return needs;
  for (const presence::NeedStanding& need : services.presence->standings()) {
    needs.push_back({{"name", need.name},
                     {"purpose", need.purpose},
                     {"ok", need.problem.empty()},
                     {"problem", need.problem.empty() ? json(nullptr) : json(need.problem)},
                     {"since", base::format_time_ms(need.since_ms)}});
  }
  return needs;
}

}  // namespace appliance::api
