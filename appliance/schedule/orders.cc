// What an agent reports when it polls for orders, and what it is answered.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/schedule/scheduler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::schedule {

using base::Error;
using base::ErrorCode;

namespace {

constexpr uint64_t kLongestWaitMs = 5000;  // the longest delay of a manual order
constexpr uint64_t kShortestWaitMs = 100;
constexpr uint64_t kProgressWaitMs = 1000;  // while a sync is running
constexpr uint64_t kShortestRetryMs = 10'000;
constexpr size_t kMaxMachines = 2000;  // of a host
constexpr size_t kMaxForgotten = 16;   // in one answer

uint64_t retry_pause(uint32_t failures, uint64_t longest_ms) {
  return std::min(longest_ms, kShortestRetryMs << std::min(failures - 1, 10u));
}

}  // namespace

void Scheduler::notice(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms) {
  LiveHost& live = state.hosts[host.id];
  live.tenant = host.tenant;
  live.polled_ms = clock_.steady_ms();
  if (poll.internal) {
    live.machines = {poll.machines.begin(), poll.machines.end()};
    take_back_orders(state, host);
    return;
  }
  if (!poll.report) return;
  catalog_.save_report({host.id, now_ms, *poll.report});
  live.machines.clear();
  live.running_machines.clear();
  for (const std::string& name : poll.machines) {
    if (live.machines.size() >= kMaxMachines) break;
    auto machine = catalog_.find_machine(host.tenant, name);
    if (machine && machine->host && *machine->host != host.id) continue;
    if (!machine && is_named_by_another(state, host, name)) {
      complain(host, "neighbours", "it names a machine that another host has reported before it");
      continue;
    }
    live.machines.insert(name);
  }
  for (const std::string& name : poll.running_machines) {
    if (live.machines.contains(name)) live.running_machines.insert(name);
  }
  bool wanted = policies_.find(host.tenant, "")->text.protect_new;
  catalog::Noticed noticed =
      catalog_.notice_machines(host, {live.machines.begin(), live.machines.end()}, wanted, now_ms);
  for (const std::string& name : noticed.machines) {
    base::log().info("host {} has a new machine: {}{}", host.name, name,
                     wanted ? ", protected from now on" : "");
  }
  if (noticed.refused_count > 0) {
    complain(host, "names",
             fmt::format("it reports more new machines than the {} a day and {} in all that a host "
                         "may have; the rest is not protected",
                         catalog::Catalog::kNewMachinesADay, catalog::Catalog::kMachinesOfHost));
  }
  if (poll.left_out > 0) {
    complain(
        host, "report",
        fmt::format("its report contains machines that cannot be accepted, beyond {} or without "
                    "a valid name; they are not protected",
                    kMaxMachines));
  }
}

// A machine belongs to the host of its first point. Before that it belongs to the first host that
// reported it and is still there: otherwise a host that reports all machines would be given other
// hosts' orders.
bool Scheduler::is_named_by_another(const State& state, const catalog::Host& host,
                                    const std::string& machine) const {
  return std::any_of(state.hosts.begin(), state.hosts.end(), [&](const auto& each) {
    const auto& [id, other] = each;
    return id != host.id && other.tenant == host.tenant && other.machines.contains(machine) &&
           !is_silent(other);
  });
}

void Scheduler::take_back_orders(State& state, const catalog::Host& internal) {
  Holders holders = holders_of(internal.tenant);
  for (auto order = state.orders.begin(); order != state.orders.end();) {
    auto holder = holders.find(order->first.second);
    bool ours = order->first.first != internal.tenant || holder == holders.end() ||
                order->second.host == holder->second;
    if (ours) {
      ++order;
      continue;
    }
    order = end_order(
        state, order,
        Error(ErrorCode::cancelled, "the machine now runs as an instant VM on the appliance"));
  }
}

void Scheduler::failed(const Key& key, const std::string& error, uint64_t now_ms) {
  auto protection = catalog_.find_protection(key.first, key.second);
  if (!protection) return;
  ++protection->failures;
  protection->last_error = error;
  protection->retry_ms = now_ms + retry_pause(protection->failures, kLongestRetryMs);
  catalog_.save_protection(*protection);
}

Scheduler::Orders::iterator Scheduler::end_order(State& state, Orders::iterator order,
                                                 const Error& unbegun) {
  if (order->second.waiting) order->second.waiting->fail(unbegun);
  std::unique_ptr<LiveOrder> next = std::move(order->second.next);
  if (!next) return state.orders.erase(order);
  order->second = std::move(*next);
  return order;
}

void Scheduler::take_outcome(State& state, const catalog::Host& host, const SyncOutcome& outcome,
                             uint64_t now_ms) {
  for (auto order = state.orders.begin(); order != state.orders.end(); ++order) {
    if (order->second.id != outcome.order || order->second.host != host.id) continue;
    if (!outcome.succeeded) failed(order->first, outcome.error, now_ms);
    end_order(state, order, Error(ErrorCode::unavailable, outcome.error));
    return;
  }
}

void Scheduler::complain(const catalog::Host& host, const char* what,
                         const std::string& sentence) const {
  if (links_.conduct != nullptr) links_.conduct->note(host, {what, sentence});
}

// The catalog records the last order for each machine, and the host it was given to. Otherwise,
// whatever an agent claims to be doing would be taken for work, and hide other hosts' machines.
bool Scheduler::may_adopt(State& state, const catalog::Host& host, const SyncUnderWay& sync) {
  bool is_of_this_daemon = sync.order >= state.first_order && sync.order <= state.next_order;
  if (is_of_this_daemon || !catalog_.was_ordered(host.tenant, sync.machine, host.id, sync.order)) {
    complain(host, "orders", "it claims orders that were not given to it");
    return false;
  }
  auto of_host = std::count_if(state.orders.begin(), state.orders.end(), [&](const auto& order) {
    return order.second.host == host.id && order.second.given;
  });
  return static_cast<uint64_t>(of_host) < limits_.host_syncs;
}

void Scheduler::take_running(State& state, const catalog::Host& host, const Poll& poll,
                             uint64_t now_ms) {
  std::set<uint64_t> running;
  for (const SyncUnderWay& sync : poll.running) {
    auto found = state.orders.find({host.tenant, sync.machine});
    if (found != state.orders.end() && found->second.host != host.id) continue;
    running.insert(sync.order);
    if (found == state.orders.end()) {
      if (!may_adopt(state, host, sync)) continue;
      // From an earlier daemon: its job has ended, the sync has not.
      LiveOrder order;
      order.id = sync.order;
      order.host = host.id;
      order.given = true;
      order.adopted = true;
      if (auto protection = catalog_.find_protection(host.tenant, sync.machine))
        order.policy = protection->policy;
      found = state.orders.emplace(Key{host.tenant, sync.machine}, std::move(order)).first;
    }
    if (found->second.id != sync.order || found->second.job.number == 0 || sync.total == 0)
      continue;
    jobs_.set_progress(found->second.job, {sync.done, sync.total, "syncing"});
  }
  // An order that the agent was given and does not know of is lost: its process died, or the answer
  // did not arrive.
  for (auto order = state.orders.begin(); order != state.orders.end();) {
    LiveOrder& live = order->second;
    if (live.host != host.id || !live.given || running.contains(live.id)) {
      ++order;
      continue;
    }
    if (auto protection = catalog_.find_protection(order->first.first, order->first.second)) {
      protection->failures = std::max(protection->failures, 1u);
      protection->retry_ms = now_ms;
      protection->last_error = "the agent ended during the sync";
      catalog_.save_protection(*protection);
    }
    order = end_order(state, order,
                      Error(ErrorCode::unavailable, "the agent ended before the sync started"));
  }
}

// Only of machines that this host has itself reported. What could not be removed is shown with the
// machine; asking again and again would not help.
void Scheduler::take_forgotten(const State& state, const catalog::Host& host, const Poll& poll) {
  auto live = state.hosts.find(host.id);
  for (const Forgotten& each : poll.forgotten) {
    if (live == state.hosts.end() || !live->second.machines.contains(each.machine)) continue;
    auto protection = catalog_.find_protection(host.tenant, each.machine);
    if (!protection || !protection->to_forget) continue;
    protection->to_forget = false;
    if (!each.error.empty()) {
      protection->last_error = fmt::format(
          "what syncs keep on host {} could not be removed ({}); run 'muletto-agent forget {}' "
          "there",
          host.name, each.error, each.machine);
    }
    catalog_.save_protection(*protection);
  }
}

void Scheduler::order_to_forget(const State& state, const catalog::Host& host, PollAnswer& answer) {
  const std::set<std::string>& seen = state.hosts.at(host.id).machines;
  for (const catalog::Protection& each : catalog_.protections(host.tenant)) {
    bool is_synced = state.orders.contains({host.tenant, each.machine});
    if (!each.to_forget || is_synced || !seen.contains(each.machine)) continue;
    if (answer.to_forget.size() < kMaxForgotten) answer.to_forget.push_back(each.machine);
  }
}

void Scheduler::give_orders(State& state, const catalog::Host& host, uint64_t now_ms,
                            PollAnswer& answer) {
  uint64_t next_ms = now_ms + kLongestWaitMs;
  uint32_t of_all = 0, of_host = 0;
  for (const auto& [key, order] : state.orders) {
    if (!order.given) continue;
    if (!order.adopted) ++of_all;
    if (order.host == host.id) ++of_host;
  }
  auto full = [&] { return of_all >= limits_.syncs || of_host >= limits_.host_syncs; };
  auto give = [&](const Key& key, LiveOrder& order) {
    catalog_.save_order(key.first, key.second, host.id, order.id, now_ms);
    order.given = true;
    ++of_all;
    ++of_host;
    answer.orders.push_back({order.id, key.second});
  };
  // Manual orders go first.
  for (auto& [key, order] : state.orders) {
    if (order.host == host.id && !order.given && !full()) give(key, order);
  }
  for (Candidate& candidate : candidates(state, host, now_ms, next_ms)) {
    if (full()) break;
    const Key key{host.tenant, candidate.protection.machine};
    LiveOrder order;
    order.id = ++state.next_order;
    order.host = host.id;
    order.policy = candidate.protection.policy;
    order.waiting = jobs_.attach(
        {"sync", access::TenantName(key.first), key.second, access::Requester::schedule()});
    order.waiting->context().set_progress({0, 0, "ordered"});
    order.job = order.waiting->id();
    candidate.protection.begun_ms = now_ms;
    catalog_.save_protection(candidate.protection);
    give(key, state.orders.emplace(key, std::move(order)).first->second);
  }
  for (const auto& [key, order] : state.orders) {
    if (order.host != host.id) continue;
    auto rate = policies_.find(key.first, order.policy)->rate_at(static_cast<int64_t>(now_ms));
    if (rate && (!answer.rate || *rate < *answer.rate)) answer.rate = rate;
  }
  if (of_host > 0) next_ms = std::min(next_ms, now_ms + kProgressWaitMs);
  answer.wait_ms = std::max(kShortestWaitMs, next_ms - now_ms);
}

PollAnswer Scheduler::poll(const catalog::Host& host, const Poll& poll) {
  uint64_t now = clock_.wall_ms();
  PollAnswer answer;
  auto state = state_.lock();
  if (state->stopping) throw Error(ErrorCode::unavailable, "the appliance is stopping");
  answer.wants_report = !poll.internal && !poll.report && !state->hosts.contains(host.id);
  notice(*state, host, poll, now);
  for (const SyncOutcome& outcome : poll.outcomes) take_outcome(*state, host, outcome, now);
  take_running(*state, host, poll, now);
  if (!poll.internal) take_forgotten(*state, host, poll);
  give_orders(*state, host, now, answer);
  if (!poll.internal) order_to_forget(*state, host, answer);
  if (answer.wants_report) answer.wait_ms = kShortestWaitMs;
  return answer;
}

}  // namespace appliance::schedule
