#include "appliance/schedule/protection_facts.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "appliance/catalog/proved_recovery.h"

namespace appliance::schedule {
namespace {

uint64_t ago(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

// What the newest point of each host, among all of its machines, says about the host's clock.
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

using Hosts = std::map<catalog::HostId, alerts::HostFacts>;
using SeenHosts = std::map<catalog::HostId, SeenHost>;

Hosts host_facts(const FactSources& sources, const SeenHosts& seen, uint64_t now_ms) {
  Hosts hosts;
  for (const catalog::Host& host : sources.catalog.hosts(catalog::TenantScope::all())) {
    alerts::HostFacts known;
    known.tenant = host.tenant;
    known.name = host.name;
    known.revoked = host.revoked;
    known.last_seen_ms = host.last_seen_ms.value_or(host.enrolled_ms);
    // From a clock that was ahead: it counts as heard when this daemon started.
    if (known.last_seen_ms > now_ms)
      known.last_seen_ms = ago(now_ms, sources.clock.steady_ms() - sources.started_ms);
    if (auto report = sources.catalog.find_report(host.id)) {
      known.is_service = true;
      auto live = seen.find(host.id);
      if (live != seen.end())
        known.last_seen_ms = ago(now_ms, sources.clock.steady_ms() - live->second.polled_ms);
      else if (report->time_ms <= now_ms)
        known.last_seen_ms = std::max(known.last_seen_ms, report->time_ms);
    }
    hosts[host.id] = known;
  }
  return hosts;
}

// A machine that an agent reported, an operator named, or a host writes; `machine` is null before
// its first point.
alerts::MachineFacts machine_facts(const FactSources& sources,
                                   const catalog::Protection& protection,
                                   const catalog::Machine* machine, uint64_t now_ms) {
  auto policy = sources.policies.find(protection.tenant, protection.policy);
  alerts::MachineFacts known;
  known.tenant = protection.tenant;
  known.name = protection.machine;
  known.wanted = protection.wanted;
  known.schedule_off = policy->schedule.is_off();
  known.failures = protection.failures;
  known.last_error = protection.last_error;
  if (machine != nullptr) known.latest_ms = machine->latest_ms;
  // A point dated by a clock that was ahead says nothing about how fresh it is.
  uint64_t stamp = known.latest_ms.value_or(protection.noticed_ms);
  auto since = static_cast<int64_t>(stamp > now_ms ? 0 : stamp);
  known.overdue_at_ms =
      static_cast<uint64_t>(known.wanted ? policy::overdue_at(*policy, known.name, since)
                                         : since + policy::kAgeWithoutSchedule);
  add_test_boots(sources.catalog, known, *policy);
  bool is_tested = known.wanted && policy->verification != policy::Verification::off;
  if (is_tested && machine != nullptr && machine->point_count > 0) {
    // A date from a clock that was ahead proves nothing.
    uint64_t proved = known.last_passed_ms.value_or(machine->created_ms);
    known.verify_by_ms = (proved > now_ms ? 0 : proved) + policy->verify_within_ms;
  }
  return known;
}

// The host whose agent writes the machine: its own, or else one that has reported it.
std::optional<alerts::HostFacts> host_of(const catalog::Protection& protection,
                                         const catalog::Machine* machine, const SeenHosts& seen,
                                         Hosts& hosts) {
  if (machine != nullptr && machine->host) return hosts[*machine->host];
  for (const auto& [id, live] : seen) {
    if (live.tenant == protection.tenant && live.machines.contains(protection.machine))
      return hosts[id];
  }
  return std::nullopt;
}

void add_machines(const FactSources& sources, const catalog::TenantName& tenant,
                  const SeenHosts& seen, uint64_t now_ms, Hosts& hosts, alerts::Facts& facts) {
  std::map<std::string, catalog::Machine> machines;
  for (catalog::Machine& machine : sources.catalog.machines(tenant))
    machines[machine.name] = std::move(machine);
  add_host_clocks(machines, hosts);
  std::map<std::string, catalog::Protection> protections;
  for (catalog::Protection& protection : sources.catalog.protections(tenant))
    protections[protection.machine] = std::move(protection);
  for (const auto& [name, machine] : machines) {
    if (!machine.host || protections.contains(name)) continue;
    protections[name] = {.tenant = tenant, .machine = name, .noticed_ms = machine.created_ms};
  }
  for (const auto& [name, protection] : protections) {
    auto found = machines.find(name);
    const catalog::Machine* machine = found == machines.end() ? nullptr : &found->second;
    facts.machines.push_back(machine_facts(sources, protection, machine, now_ms));
    facts.machines.back().host = host_of(protection, machine, seen, hosts);
    if (auto holder = sources.scheduler.timeline_holder(access::TenantName(tenant), name)) {
      if (sources.scheduler.running_original(access::TenantName(tenant), name))
        facts.machines.back().timeline_vm = holder->boot;
    }
  }
  // Machines whose points were imported have no protection, but may be tested.
  for (const auto& [name, machine] : machines) {
    if (protections.contains(name)) continue;
    alerts::MachineFacts known;
    known.tenant = tenant;
    known.name = name;
    known.imported = true;
    add_test_boots(sources.catalog, known, *sources.policies.find(tenant, ""));
    facts.machines.push_back(std::move(known));
  }
}

alerts::StoreFacts store_facts(const FactSources& sources, const catalog::TenantName& tenant,
                               bool is_readable) {
  alerts::StoreFacts store{.tenant = tenant};
  // If the store is missing, the space would be that of another disk.
  std::error_code absent;
  auto space = std::filesystem::space(sources.stores.directory_of(tenant), absent);
  if (!absent && is_readable) {
    store.free = space.available;
    store.size = space.capacity;
  }
  store.damaged_point_count = sources.catalog.damaged_points(tenant).size();
  if (auto check = sources.catalog.last_store_check(tenant)) {
    store.checked_ms = check->checked_ms;
    store.problem_count = check->problem_count;
    store.first_problem = check->first_problem;
  }
  return store;
}

}  // namespace

alerts::Facts protection_facts(const FactSources& sources, uint64_t now_ms) {
  const SeenHosts seen = sources.scheduler.seen_hosts();
  Hosts hosts = host_facts(sources, seen, now_ms);
  std::set<catalog::TenantName> readable;
  for (const stores::StoreStanding& standing : sources.stores.standings()) {
    if (standing.can_be_read()) readable.insert(standing.tenant);
  }
  alerts::Facts facts;
  for (const catalog::Tenant& tenant : sources.catalog.tenants(catalog::TenantScope::all())) {
    add_machines(sources, tenant.name, seen, now_ms, hosts, facts);
    facts.stores.push_back(store_facts(sources, tenant.name, readable.contains(tenant.name)));
  }
  for (const auto& [id, known] : hosts) facts.hosts.push_back(known);
  facts.clock_problem = sources.clock_trust.look().problem;
  return facts;
}

}  // namespace appliance::schedule
