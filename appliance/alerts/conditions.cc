#include "appliance/alerts/conditions.h"

#include <fmt/format.h>

#include "appliance/catalog/records.h"
#include "base/text.h"

namespace appliance::alerts {
namespace {

bool is_silent(const HostFacts& host, uint64_t now_ms) {
  return host.is_service && now_ms > host.last_seen_ms + kSilentAfterMs;
}

// Why there is no newer point, the most likely reason first.
std::string reason_of(const MachineFacts& machine, uint64_t now_ms) {
  if (!machine.wanted) return "it is not protected: muletto machine protect";
  if (machine.schedule_off) return "the schedule of its policy is off";
  if (!machine.host) return "it belongs to no host";
  if (machine.host->revoked) return fmt::format("its host '{}' was revoked", machine.host->name);
  if (is_silent(*machine.host, now_ms)) {
    return fmt::format("its host '{}' has been silent since {}", machine.host->name,
                       base::format_time_ms(machine.host->last_seen_ms));
  }
  if (!machine.host->is_service) {
    return fmt::format("no agent service runs on its host '{}': muletto-agent run",
                       machine.host->name);
  }
  if (machine.failures > 0) return "its syncs fail: " + machine.last_error;
  return "no sync has completed";
}

void add_machine(std::vector<Condition>& found, const MachineFacts& machine, uint64_t now_ms) {
  auto add = [&](const char* kind, std::string message) {
    found.push_back({kind, machine.tenant, machine.name, std::move(message)});
  };
  if (!machine.wanted && !machine.imported) {
    add(kMachineUnprotected,
        fmt::format("the machine '{0}' is not protected; protect it: muletto machine protect {0}",
                    machine.name));
  }
  if (!machine.imported && (machine.wanted || machine.latest_ms) &&
      now_ms > machine.overdue_at_ms) {
    std::string latest = machine.latest_ms
                             ? "its newest point is of " + base::format_time_ms(*machine.latest_ms)
                             : "it has no point";
    add(kMachineOverdue, fmt::format("the machine '{}' should have a newer point; {}; {}",
                                     machine.name, latest, reason_of(machine, now_ms)));
  }
  if (machine.wanted && machine.failures >= kFailingAfter) {
    add(kSyncFailing, fmt::format("{} syncs of '{}' in a row have failed: {}", machine.failures,
                                  machine.name, machine.last_error));
  }
  if (!machine.timeline_vm.empty()) {
    add(kTimelineTaken,
        fmt::format("'{0}' runs on its host '{1}', but is not synced: the instant VM {2} has taken "
                    "its place. Whatever is written on '{1}' is not protected",
                    machine.name, machine.host ? machine.host->name : "", machine.timeline_vm));
  }
  if (!machine.boot_failure.empty()) {
    add(kVerificationFailed, fmt::format("the newest tested point of '{}' failed its test boot: {}",
                                         machine.name, machine.boot_failure));
  }
  if (machine.verify_by_ms && now_ms > *machine.verify_by_ms) {
    std::string passed = machine.last_passed_ms ? "its last passed test boot was at " +
                                                      base::format_time_ms(*machine.last_passed_ms)
                                                : "no test boot of it has ever passed";
    std::string last = machine.last_verdict.empty()
                           ? "none has run"
                           : fmt::format("the verdict of the last one: {}", machine.last_verdict);
    add(kVerificationOverdue, fmt::format("nothing proves that '{}' can be recovered: {}; {}",
                                          machine.name, passed, last));
  }
  if (machine.rto_ms && machine.recovery_ms && *machine.recovery_ms > *machine.rto_ms) {
    add(kRecoverySlow,
        fmt::format("'{}' takes {} to come up in its newest test boots; its policy's target is {}",
                    machine.name, base::format_duration_ms(*machine.recovery_ms),
                    base::format_duration_ms(*machine.rto_ms)));
  }
}

void add_host(std::vector<Condition>& found, const HostFacts& host, uint64_t now_ms) {
  if (!host.revoked && !host.clock_note.empty()) {
    found.push_back(
        {kClockWrong, host.tenant, host.name,
         fmt::format("the clock of '{}' is wrong: at the newest point, of '{}', {}; points are "
                     "kept by the appliance's time, so none is lost; set the host's clock and sync",
                     host.name, host.clock_machine, host.clock_note)});
  }
  if (host.revoked || !is_silent(host, now_ms)) return;
  found.push_back({kHostSilent, host.tenant, host.name,
                   fmt::format("the agent of '{}' was last heard at {}", host.name,
                               base::format_time_ms(host.last_seen_ms))});
}

void add_store(std::vector<Condition>& found, const StoreFacts& store) {
  if (store.damaged_point_count > 0) {
    found.push_back(
        {kPointsDamaged, store.tenant, store.tenant,
         fmt::format("a check of the store of '{}' at {} found {}: muletto point list marks them; "
                     "sync their machines, which sends again what is still there, and check again",
                     store.tenant, base::format_time_ms(store.checked_ms),
                     base::format_count(store.damaged_point_count, "damaged point"))});
  } else if (store.problem_count > 0) {
    found.push_back(
        {kStoreDamaged, store.tenant, store.tenant,
         fmt::format("a check of the store of '{}' at {} found {}; no point is affected: {}",
                     store.tenant, base::format_time_ms(store.checked_ms),
                     base::format_count(store.problem_count, "problem"), store.first_problem)});
  }
  if (store.size == 0 || store.free >= store.size / kFreeShare) return;
  found.push_back({kStoreNearlyFull, store.tenant, store.tenant,
                   fmt::format("the store of '{}' has {} left of {}", store.tenant,
                               base::format_size(store.free), base::format_size(store.size))});
}

}  // namespace

std::vector<Condition> conditions_of(const Facts& facts, uint64_t now_ms) {
  std::vector<Condition> found;
  for (const MachineFacts& machine : facts.machines) add_machine(found, machine, now_ms);
  for (const HostFacts& host : facts.hosts) add_host(found, host, now_ms);
  if (!facts.clock_problem.empty()) {
    found.push_back({kApplianceClock, catalog::TenantName(catalog::kDefaultTenant), "appliance",
                     facts.clock_problem});
  }
  for (const StoreFacts& store : facts.stores) add_store(found, store);
  return found;
}

}  // namespace appliance::alerts
