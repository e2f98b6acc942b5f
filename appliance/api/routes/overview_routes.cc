// Everything that one look at all machines needs, in one answer: an overview must not ask about each of
// 500 machines.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

json days_json(const catalog::MachineHistory& history) {
  json days = json::array();
  for (const catalog::HistoryDay& day : history.days)
    days.push_back({day.point_count, day.pass_count, day.fail_count});
  return days;
}

json newest_test_json(const catalog::MachineHistory& history) {
  if (!history.newest_test) return nullptr;
  const catalog::NewestTest& test = *history.newest_test;
  return {{"number", test.number},
          {"verdict", test.verdict},
          {"reason", test.reason},
          {"started", base::format_time_ms(test.started_ms)},
          {"picture_count", test.picture_count}};
}

// `is_known`: it has a point, or had one.
json row_json(Services& services, const catalog::Machine& machine,
              const catalog::MachineHistory& history, bool is_known) {
  schedule::Standing standing = services.scheduler.standing(machine.tenant, machine);
  json row = machine_json(machine);
  if (!is_known) row["id"] = nullptr;
  row["protection"] = standing_json(standing);
  row["too_old_at"] = base::format_time_ms(standing.overdue_at_ms);
  row["newest_test"] = newest_test_json(history);
  row["recovery"] = recovery_json(catalog::proved_recovery(history.recovery_times));
  row["days"] = days_json(history);
  return row;
}

// What the caller may not view is as if it were not there.
void hide_from(const Principal& principal, catalog::MachineHistories& histories) {
  bool sees_points = principal.privileges.has(Privilege::point_view);
  bool sees_tests = principal.privileges.has(Privilege::verification_view);
  for (auto& [name, history] : histories) {
    for (catalog::HistoryDay& day : history.days) {
      if (!sees_points) day.point_count = 0;
      if (!sees_tests) day.pass_count = day.fail_count = 0;
    }
    if (sees_tests) continue;
    history.newest_test.reset();
    history.recovery_times.clear();
  }
}

void add_machines(json& list, Services& services, const Request& request,
                  const catalog::TenantName& tenant, uint64_t now_ms) {
  const catalog::MachineHistory none;
  catalog::MachineHistories histories = services.catalog.machine_histories(tenant, now_ms);
  hide_from(request.principal, histories);
  std::set<std::string> with_points;
  for (const catalog::Machine& machine : services.catalog.machines(tenant)) {
    auto history = histories.find(machine.name);
    list.push_back(
        row_json(services, machine, history == histories.end() ? none : history->second, true));
    with_points.insert(machine.name);
  }
  // Machines that agents have reported and that have no point yet.
  for (const catalog::Protection& seen : services.catalog.protections(tenant)) {
    if (with_points.contains(seen.machine)) continue;
    catalog::Machine machine;
    machine.tenant = seen.tenant;
    machine.name = seen.machine;
    machine.created_ms = seen.noticed_ms;
    list.push_back(row_json(services, machine, none, false));
  }
}

Response show_overview(Services& services, const Request& request) {
  uint64_t now_ms = base::now_ms();
  access::TenantScope scope = request.query_value("tenant").empty()
                                  ? request.scope()
                                  : access::TenantScope(request.tenant());
  json machines = json::array(), alerts = json::array(), problems = json::array();
  for (const catalog::Tenant& tenant : services.catalog.tenants(scope)) {
    add_machines(machines, services, request, tenant.name, now_ms);
    for (json& problem : problems_json(services, tenant.name, Asked::store))
      problems.push_back(std::move(problem));
  }
  if (request.principal.privileges.has(Privilege::alert_view)) {
    for (const catalog::Alert& alert : services.catalog.alerts(scope, false, 1000))
      alerts.push_back(alert_json(alert));
  }
  return json_response({{"time", base::format_time_ms(now_ms)},
                        {"day_count", catalog::kHistoryDays},
                        {"machines", std::move(machines)},
                        {"alerts", std::move(alerts)},
                        {"problems", std::move(problems)}});
}

}  // namespace

void add_overview_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/overview", Privilege::machine_view, Resource::tenant, show_overview},
      });
}

}  // namespace appliance::api
