#include "appliance/schedule/protection_facts.h"

#include <algorithm>
#include <filesystem>

#include "appliance/catalog/proved_recovery.h"

namespace appliance::schedule {
namespace {

uint64_t ago(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

// What the newest point of each host, of all of its machines, says of the host's clock.
void add_host_clocks(const std::map<std::string, catalog::Machine>& machines,
                     std::map<catalog::HostId, alerts::HostFacts>& hosts) {
  std::map<catalog::HostId, const catalog::Machine*> newest;
  for (const auto& [name, machine] : machines) {
    if (!machine.host || !machine.latest_ms) continue;
    const catalog::Machine*& known = newest[*machine.host];
    if (known == nullptr || machine.latest_dates.order > known->latest_dates.order)
      known = &machine;
  }
  for (const auto& [host, machine] : newest) {
    hosts[host].clock_machine = machine->name;
    hosts[host].clock_note = images::clock_note(*machine->latest_ms, machine->latest_dates);
  }
}

void add_test_boots(catalog::Catalog& catalog, alerts::MachineFacts& machine,
                    const policy::Policy& policy) {
  auto newest = catalog.newest_verdict(machine.tenant, machine.name);
  if (newest && newest->verdict == "fail") machine.boot_failure = newest->reason;
  if (newest) machine.last_verdict = newest->verdict;
  machine.last_passed_ms = catalog.last_passed_ms(machine.tenant, machine.name);
  machine.rto_ms = policy.rto_ms;
  if (!policy.rto_ms) return;
  auto times = catalog.recovery_times(machine.tenant, machine.name, catalog::kRecoveryFrom);
  if (!times.empty()) machine.recovery_ms = catalog::proved_recovery(times).recent_ms;
}

}  // namespace

alerts::Facts protection_facts(const FactSources& sources, uint64_t now_ms) {
  catalog::Catalog& catalog = sources.catalog;
  const std::map<catalog::HostId, SeenHost> seen = sources.hosts();
  alerts::Facts facts;
  std::map<catalog::HostId, alerts::HostFacts> hosts;
  for (const catalog::Host& host : catalog.hosts(catalog::TenantScope::all())) {
    alerts::HostFacts known;
    known.tenant = host.tenant;
    known.name = host.name;
    known.revoked = host.revoked;
    known.last_seen_ms = host.last_seen_ms.value_or(host.enrolled_ms);
    // Of a clock that was ahead: it counts as heard when this daemon began.
    if (known.last_seen_ms > now_ms)
      known.last_seen_ms = ago(now_ms, sources.clock.steady_ms() - sources.started_ms);
    if (auto report = catalog.find_report(host.id)) {
      known.is_service = true;
      auto live = seen.find(host.id);
      if (live != seen.end())
        known.last_seen_ms = ago(now_ms, sources.clock.steady_ms() - live->second.polled_ms);
      else if (report->time_ms <= now_ms)
        known.last_seen_ms = std::max(known.last_seen_ms, report->time_ms);
    }
    hosts[host.id] = known;
  }
  std::set<std::string> readable;
  for (const stores::StoreStanding& standing : sources.stores.standings()) {
    if (standing.can_be_read()) readable.insert(standing.tenant);
  }
  for (const catalog::Tenant& tenant : catalog.tenants(catalog::TenantScope::all())) {
    std::map<std::string, catalog::Machine> machines;
    for (catalog::Machine& machine : catalog.machines(catalog::TenantName(tenant.name)))
      machines[machine.name] = std::move(machine);
    add_host_clocks(machines, hosts);
    std::map<std::string, catalog::Protection> protections;
    for (catalog::Protection& protection : catalog.protections(tenant.name))
      protections[protection.machine] = std::move(protection);
    for (const auto& [name, machine] : machines) {
      if (!machine.host || protections.contains(name)) continue;
      protections[name] = {
          .tenant = tenant.name, .machine = name, .noticed_ms = machine.created_ms};
    }
    for (const auto& [name, protection] : protections) {
      auto policy = sources.policy(tenant.name, protection.policy);
      alerts::MachineFacts known;
      known.tenant = tenant.name;
      known.name = name;
      known.wanted = protection.wanted;
      known.schedule_off = policy->schedule.is_off();
      known.failures = protection.failures;
      known.last_error = protection.last_error;
      auto machine = machines.find(name);
      if (machine != machines.end()) {
        known.latest_ms = machine->second.latest_ms;
        if (machine->second.host) known.host = hosts[*machine->second.host];
      }
      for (const auto& [id, live] : seen) {
        if (!known.host && live.tenant == tenant.name && live.machines.contains(name))
          known.host = hosts[id];
      }
      // A point of a clock that was ahead says nothing of how fresh it is.
      uint64_t stamp = known.latest_ms.value_or(protection.noticed_ms);
      auto since = static_cast<int64_t>(stamp > now_ms ? 0 : stamp);
      known.overdue_at_ms =
          static_cast<uint64_t>(known.wanted ? policy::overdue_at(*policy, name, since)
                                             : since + policy::kAgeWithoutSchedule);
      add_test_boots(catalog, known, *policy);
      bool is_tested = known.wanted && policy->verification != policy::Verification::off;
      if (is_tested && machine != machines.end() && machine->second.point_count > 0) {
        // What a clock that was ahead has dated proves nothing.
        uint64_t proved = known.last_passed_ms.value_or(machine->second.created_ms);
        known.verify_by_ms = (proved > now_ms ? 0 : proved) + policy->verify_within_ms;
      }
      facts.machines.push_back(std::move(known));
    }
    // Machines whose points were imported have no protection, but may be tested.
    for (const auto& [name, machine] : machines) {
      if (protections.contains(name)) continue;
      alerts::MachineFacts known;
      known.tenant = tenant.name;
      known.name = name;
      known.imported = true;
      add_test_boots(catalog, known, *sources.policy(tenant.name, ""));
      facts.machines.push_back(std::move(known));
    }
    alerts::StoreFacts store{.tenant = tenant.name};
    // Where the store is not there, the space is another disk's.
    std::error_code absent;
    auto space = std::filesystem::space(sources.stores.directory_of(tenant.name), absent);
    if (!absent && readable.contains(tenant.name)) {
      store.free = space.available;
      store.size = space.capacity;
    }
    store.damaged_point_count = catalog.damaged_points(tenant.name).size();
    if (auto check = catalog.last_store_check(tenant.name)) {
      store.checked_ms = check->checked_ms;
      store.problem_count = check->problem_count;
      store.first_problem = check->first_problem;
    }
    facts.stores.push_back(std::move(store));
  }
  for (const auto& [id, known] : hosts) facts.hosts.push_back(known);
  if (sources.clock_trust != nullptr) facts.clock_problem = sources.clock_trust->look().problem;
  return facts;
}

}  // namespace appliance::schedule
