#include "appliance/schedule/scheduler.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::schedule {

using base::Error;
using base::ErrorCode;

namespace {

// Whether the host is the one to sync the machine: the one that holds its timeline, or its own.
bool is_for(const std::map<std::string, catalog::HostId>& holders, const std::string& machine,
            const std::optional<catalog::HostId>& owner, const catalog::HostId& host) {
  auto holder = holders.find(machine);
  if (holder != holders.end()) return holder->second == host;
  return !owner || *owner == host;
}

// Never a number that an order of an earlier daemon had, whatever the clock said then; 52 bits, so
// that every JSON reader can represent it.
uint64_t first_order() {
  base::Bytes random(8);
  std::ranges::copy(base::random_array<8>(), random.begin());
  return base::load_u64(random.data()) >> 12;
}

// A timestamp from a clock that was ahead says nothing.
uint64_t stamp_or_never(uint64_t stamp_ms, uint64_t now_ms) {
  return stamp_ms > now_ms ? 0 : stamp_ms;
}

const catalog::Machine* find(const std::vector<catalog::Machine>& machines,
                             const std::string& name) {
  auto found = std::find_if(machines.begin(), machines.end(),
                            [&](const catalog::Machine& machine) { return machine.name == name; });
  return found == machines.end() ? nullptr : &*found;
}

}  // namespace

Scheduler::Scheduler(catalog::Catalog& catalog, Policies& policies, jobs::JobRunner& jobs,
                     const Limits& limits, SchedulerLinks links)
    : catalog_(catalog), policies_(policies), jobs_(jobs), clock_(*links.clock), limits_(limits),
      links_(links) {
  auto state = state_.lock();
  state->next_order = first_order();
  state->first_order = state->next_order + 1;
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::stop() {
  auto state = state_.lock();
  state->stopping = true;
  const Error unbegun(ErrorCode::cancelled, "the daemon ended before the sync started");
  for (auto order = state->orders.begin(); order != state->orders.end();)
    order = end_order(*state, order, unbegun);
}

std::optional<RunningOriginal> Scheduler::running_original(const access::TenantName& tenant,
                                                           const std::string& machine) {
  catalog::HostId id{};
  uint64_t age_ms = 0;
  {
    auto state = state_.lock();
    auto found = std::find_if(state->hosts.begin(), state->hosts.end(), [&](const auto& each) {
      const SeenHost& host = each.second;
      return std::string_view(host.tenant) == std::string_view(tenant) &&
             host.running_machines.contains(machine) &&
             clock_.steady_ms() - host.polled_ms < kSeenAliveMs;
    });
    if (found == state->hosts.end()) return std::nullopt;
    id = found->first;
    age_ms = clock_.steady_ms() - found->second.polled_ms;
  }
  auto host = catalog_.find_host(id);
  if (!host || host->revoked) return std::nullopt;
  return RunningOriginal{host->name, age_ms};
}

std::optional<ingest::TimelineHolder> Scheduler::timeline_holder(const access::TenantName& tenant,
                                                                 const std::string& machine) {
  if (links_.timelines == nullptr) return std::nullopt;
  return links_.timelines->holder(tenant, machine);
}

std::map<catalog::HostId, SeenHost> Scheduler::seen_hosts() { return state_.lock()->hosts; }

// When the machine is to be synced next: at once if it never was, after a failure when its pause is
// over, otherwise by its schedule.
std::optional<uint64_t> Scheduler::due_of(const catalog::Protection& protection,
                                          std::optional<uint64_t> latest_ms, uint64_t now_ms) {
  if (!protection.wanted) return std::nullopt;
  PolicyPointer policy = policies_.find(protection.tenant, protection.policy);
  if (policy->schedule.is_off()) return std::nullopt;
  if (protection.failures > 0)
    return protection.retry_ms > now_ms + kLongestRetryMs ? now_ms : protection.retry_ms;
  uint64_t last = std::max(stamp_or_never(protection.begun_ms, now_ms),
                           stamp_or_never(latest_ms.value_or(0), now_ms));
  if (last == 0) return std::min(protection.noticed_ms, now_ms);
  auto due = policy->next_due(protection.machine, static_cast<int64_t>(last));
  if (!due) return std::nullopt;
  return static_cast<uint64_t>(*due);
}

void Scheduler::protect(const access::TenantName& tenant, const std::string& machine, bool wanted,
                        const std::optional<std::string>& policy) {
  auto state = state_.lock();
  auto protection = catalog_.find_protection(tenant, machine);
  if (!protection) {
    catalog_.machine(tenant, machine);  // throws not_found
    protection.emplace();
    protection->tenant = tenant;
    protection->machine = machine;
    protection->noticed_ms = clock_.wall_ms();
  }
  if (policy) {
    if (!policy->empty()) policies_.text(tenant, *policy);
    protection->policy = *policy;
  }
  protection->to_forget = !wanted && (protection->wanted || protection->to_forget);
  protection->wanted = wanted;
  catalog_.save_protection(*protection);
}

Standing Scheduler::standing(const access::TenantName& tenant, const catalog::Machine& machine) {
  auto state = state_.lock();
  uint64_t now = clock_.wall_ms();
  catalog::Protection protection =
      catalog_.find_protection(tenant, machine.name).value_or(catalog::Protection{});
  protection.tenant = tenant;
  protection.machine = machine.name;
  PolicyPointer policy = policies_.find(tenant, protection.policy);
  Standing standing;
  standing.wanted = protection.wanted;
  standing.policy = policy->text.name;
  standing.next_due_ms = due_of(protection, machine.latest_ms, now);
  standing.gaps = catalog_.recovery_gaps(tenant, machine.name, now);
  if (machine.latest_ms && *machine.latest_ms <= now) {
    standing.age_ms = now - *machine.latest_ms;
    standing.gaps.worst_day_ms = std::max(standing.gaps.worst_day_ms, *standing.age_ms);
    standing.gaps.worst_week_ms = std::max(standing.gaps.worst_week_ms, *standing.age_ms);
  }
  uint64_t since = stamp_or_never(machine.latest_ms.value_or(protection.noticed_ms), now);
  standing.overdue_at_ms = protection.wanted
                               ? static_cast<uint64_t>(policy::overdue_at(
                                     *policy, machine.name, static_cast<int64_t>(since)))
                               : since + policy::kAgeWithoutSchedule;
  standing.failures = protection.failures;
  standing.last_error = protection.last_error;
  return standing;
}

jobs::JobId Scheduler::request(const access::TenantName& tenant, const std::string& machine,
                               const access::Requester& requested_by) {
  auto state = state_.lock();
  auto before = state->orders.find({tenant, machine});
  if (before != state->orders.end()) {
    const LiveOrder& last = before->second.next ? *before->second.next : before->second;
    if (last.job.number == 0 || !catalog::is_over(jobs_.job(last.job).state)) {
      throw Error(ErrorCode::busy,
                  fmt::format("the machine '{}' is already being synced: {}", machine,
                              last.job.number == 0 ? "since before the appliance was restarted"
                                                   : fmt::format("job {}", last.job.number)));
    }
  }
  auto known = catalog_.find_machine(tenant, machine);
  auto protection = catalog_.find_protection(tenant, machine);
  if (!known && !protection) catalog_.machine(tenant, machine);
  Holders holders = holders_of(tenant);
  for (auto& [id, host] : state->hosts) {
    if (host.tenant != tenant || !host.machines.contains(machine)) continue;
    if (!is_for(holders, machine, known ? known->host : std::nullopt, id)) continue;
    if (is_silent(host)) continue;
    LiveOrder order;
    order.id = ++state->next_order;
    order.host = id;
    if (protection) order.policy = protection->policy;  // its bandwidth
    order.waiting = jobs_.attach({"sync", tenant, machine, requested_by});
    order.waiting->context().set_progress({0, 0, "waiting for the agent"});
    order.job = order.waiting->id();
    jobs::JobId job = order.job;
    if (before != state->orders.end()) {
      before->second.next = std::make_unique<LiveOrder>(std::move(order));
    } else {
      state->orders.emplace(Key{tenant, machine}, std::move(order));
    }
    return job;
  }
  if (holders.contains(machine)) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("the instant VM of '{}' is not running; see muletto boot list", machine));
  }
  throw Error(
      ErrorCode::unavailable,
      fmt::format("no running agent service has the machine '{}' now; see muletto host list",
                  machine));
}

std::unique_ptr<jobs::AttachedJob> Scheduler::adopt(const access::TenantName& tenant,
                                                    const std::string& machine,
                                                    const catalog::HostId& host) {
  auto state = state_.lock();
  auto found = state->orders.find({tenant, machine});
  if (found == state->orders.end() || found->second.host != host || !found->second.given)
    return nullptr;
  return std::move(found->second.waiting);
}

void Scheduler::committed(const access::TenantName& tenant, const std::string& machine) {
  auto state = state_.lock();
  auto protection = catalog_.find_protection(tenant, machine);
  if (!protection || protection->failures == 0) return;
  protection->failures = 0;
  protection->retry_ms = 0;
  protection->last_error.clear();
  catalog_.save_protection(*protection);
}

void Scheduler::expire_silent_orders() {
  auto state = state_.lock();
  const Error silent(ErrorCode::unavailable, "the agent of its host is silent");
  for (auto order = state->orders.begin(); order != state->orders.end();) {
    if (!is_silent(state->hosts[order->second.host])) ++order;
    else order = end_order(*state, order, silent);
  }
}

bool Scheduler::is_silent(const LiveHost& host) const {
  return clock_.steady_ms() > host.polled_ms + alerts::kSilentAfterMs;
}

Scheduler::Holders Scheduler::holders_of(const access::TenantName& tenant) const {
  return links_.timelines != nullptr ? links_.timelines->holders(tenant) : Holders{};
}

std::vector<Scheduler::Candidate> Scheduler::candidates(State& state, const catalog::Host& host,
                                                        uint64_t now_ms, uint64_t& next_ms) {
  std::vector<catalog::Machine> machines = catalog_.machines(host.tenant);
  const std::set<std::string>& seen = state.hosts[host.id].machines;
  Holders holders = holders_of(host.tenant);
  std::vector<Candidate> due;
  for (catalog::Protection& protection : catalog_.protections(host.tenant)) {
    if (!seen.contains(protection.machine)) continue;
    if (state.orders.contains({host.tenant, protection.machine})) continue;
    const catalog::Machine* machine = find(machines, protection.machine);
    if (!is_for(holders, protection.machine, machine != nullptr ? machine->host : std::nullopt,
                host.id))
      continue;
    auto when = due_of(protection, machine != nullptr ? machine->latest_ms : std::nullopt, now_ms);
    if (!when) continue;
    if (*when > now_ms) {
      next_ms = std::min(next_ms, *when);
      continue;
    }
    PolicyPointer policy = policies_.find(host.tenant, protection.policy);
    if (policy->in_blackout(static_cast<int64_t>(now_ms))) continue;
    due.push_back({std::move(protection), std::move(policy), *when});
  }
  std::sort(due.begin(), due.end(), [](const Candidate& a, const Candidate& b) {
    uint32_t first = a.policy->text.priority, second = b.policy->text.priority;
    return first != second ? first > second : a.due_ms < b.due_ms;
  });
  return due;
}

}  // namespace appliance::schedule
