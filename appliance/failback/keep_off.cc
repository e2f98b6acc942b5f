#include "appliance/failback/keep_off.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace appliance::failback {
namespace {

using catalog::Failback;

constexpr uint32_t kListed = 500;
constexpr uint64_t kRememberedMs = 3'600'000;

}  // namespace

std::vector<KeptOffMachine> KeepOff::list(const catalog::Host& host) {
  std::vector<boot::InstantVm> vms = boots_.timeline_holders(host.tenant);
  std::vector<Failback> failbacks = catalog_.failbacks(host.tenant, true, kListed);
  std::vector<KeptOffMachine> kept;
  if (vms.empty() && failbacks.empty()) return kept;
  std::set<std::string> of_host;
  for (const auto& [id, seen] : scheduler_.seen_hosts()) {
    if (id == host.id) of_host = seen.machines;
  }
  auto is_of_host = [&](const std::string& machine) {
    if (of_host.contains(machine)) return true;
    auto known = catalog_.find_machine(host.tenant, machine);
    return known && known->host == host.id;
  };
  uint64_t now = clock_.wall_ms();
  for (const boot::InstantVm& vm : vms) {
    int64_t after = 0;
    bool is_target = false;
    for (const Failback& each : failbacks) {
      if (each.boot != vm.id.hex()) continue;
      if (each.is_vouched_off) after = std::max(after, each.id);
      is_target |= each.host == host.id;
    }
    if (!is_target && !is_of_host(vm.machine_name)) continue;
    if (kept.size() == kMaxKeptOff) break;
    kept.push_back(
        {vm.machine_name, vm.id.hex(), now > vm.started_ms ? now - vm.started_ms : 0, after});
  }
  // A machine that went home to another host must not come up on this one either.
  std::set<std::string> told;
  for (const Failback& each : failbacks) {  // the newest of each machine counts
    if (!told.insert(each.machine).second || each.holder != "home") continue;
    // Until home has answered, it may start the machine only as it is ordered to.
    if (each.host == host.id && !catalog::is_switching(each.step)) continue;
    bool runs_here = std::any_of(vms.begin(), vms.end(), [&](const boot::InstantVm& vm) {
      return vm.machine_name == each.machine;
    });
    auto known = catalog_.find_machine(host.tenant, each.machine);
    bool is_assigned =  // to this host, by a person, after it went to another
        each.host != host.id && known && known->host == host.id &&
        !catalog::is_switching(each.step);
    bool is_of_this = each.host == host.id || of_host.contains(each.machine);
    if (runs_here || is_assigned || !is_of_this) continue;
    if (kept.size() == kMaxKeptOff) break;
    kept.push_back({each.machine, each.boot, now > each.created_ms ? now - each.created_ms : 0, 0});
  }
  return kept;
}

void KeepOff::take(const catalog::Host& host, const std::vector<KeptOffReport>& reports) {
  auto seen = seen_.lock();
  std::set<std::string> told;
  for (const KeptOffReport& report : reports) {
    told.insert(report.machine);
    auto [place, is_new] = seen->try_emplace({host.id, report.machine});
    Seen& known = place->second;
    known.tenant = host.tenant;
    known.host_name = host.name;
    if (report.ended_count > known.ended_count) known.ended_ms = clock_.steady_ms();
    known.ended_count = report.ended_count;
    known.error = report.error;
  }
  std::erase_if(*seen, [&](const auto& each) {
    return each.first.first == host.id && !told.contains(each.first.second);
  });
}

std::vector<alerts::Condition> KeepOff::conditions() {
  std::vector<alerts::Condition> found;
  uint64_t now = clock_.steady_ms();
  auto seen = seen_.lock();
  for (const auto& [key, each] : *seen) {
    const std::string& machine = key.second;
    if (each.ended_ms != 0 && now - each.ended_ms < kRememberedMs) {
      found.push_back(
          {alerts::kOriginalStarted, each.tenant, machine,
           fmt::format(
               "'{0}' was started on '{1}' {2} while it runs as an instant VM here; the "
               "agent ended it. Bring it home with 'muletto failback start', or stop the "
               "instant VM first",
               machine, each.host_name,
               each.ended_count == 1 ? "once" : fmt::format("{} times", each.ended_count))});
    }
    if (!each.error.empty()) {
      found.push_back({alerts::kOriginalUnguarded, each.tenant, machine,
                       fmt::format("the agent of '{}' cannot keep the old copy of '{}' off: {}",
                                   each.host_name, machine, each.error)});
    }
  }
  return found;
}

}  // namespace appliance::failback
