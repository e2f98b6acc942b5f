#include "appliance/retention/retention_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "appliance/policy/policy.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::retention {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::seconds kLookEvery{60};
constexpr uint64_t kPruneEveryMs = 3'600'000;
constexpr uint64_t kLateAfterMs = 10 * 60'000;
constexpr uint64_t kFirstRetryMs = 60'000;
constexpr uint64_t kLongestRetryMs = 3'600'000;
constexpr uint64_t kBusyPauseMs = 10 * 60'000;  // after a job that found every point in use
constexpr size_t kMachinesNamed = 3;

std::string name_of(const catalog::Protection& protection) {
  return protection.policy.empty() ? std::string(policy::kDefaultPolicy) : protection.policy;
}

}  // namespace

RetentionService::RetentionService(catalog::Catalog& catalog, stores::TenantStores& stores,
                                   jobs::JobRunner& jobs, points::PointDeletion& deletion,
                                   Surroundings surroundings)
    : catalog_(catalog), jobs_(jobs), deletion_(deletion),
      around_(complete(std::move(surroundings))), look_(catalog, stores, around_) {}

RetentionService::~RetentionService() { stop(); }

void RetentionService::start() {
  {
    auto state = state_.lock();
    state->round_ms = around_.steady_ms();
    state->round_wall_ms = around_.now_ms();
  }
  thread_ = base::GuardedThread("retention", base::AfterFailure::begin_again,
                                [this](const std::stop_token& stop) { watch(stop); });
}

void RetentionService::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void RetentionService::watch(const std::stop_token& stop) {
  do {
    run();
    prune_hourly();
  } while (base::sleep_unless_stopped(stop, kLookEvery));
}

void RetentionService::prune_hourly() {
  {
    auto state = state_.lock();
    if (state->pruned_ms && around_.steady_ms() < *state->pruned_ms + kPruneEveryMs) return;
    state->pruned_ms = around_.steady_ms();
  }
  try {
    if (!around_.clock_problem().empty()) return;  // age is meaningless then
    prune(catalog_, around_.pruning, around_.now_ms());
  } catch (const std::exception& error) {
    base::log().error("old rows and traces could not be removed: {}", error.what());
  }
}

// ---- examining machines

void RetentionService::run() {
  bool complete_round = true;
  std::set<Key> seen;
  try {
    for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
      for (const catalog::Protection& protection : catalog_.protections(tenant.name)) {
        Key key{tenant.name, protection.machine};
        seen.insert(key);
        try {
          tend(protection);
        } catch (const std::exception& error) {
          failed(key, error.what());
        }
      }
    }
  } catch (const std::exception& error) {
    base::log().error("retention could not examine the machines: {}", error.what());
    complete_round = false;
  }
  if (!complete_round) return;
  auto state = state_.lock();
  state->round_ms = around_.steady_ms();
  state->round_wall_ms = around_.now_ms();
  std::erase_if(state->machines, [&](const auto& each) { return !seen.contains(each.first); });
}

void RetentionService::tend(const catalog::Protection& protection) {
  MachinePlan plan = look_.now(protection);
  remember(plan);
  if (!plan.held.empty() || plan.going == 0) return;
  submit(plan, Haste::within_bounds, access::Requester::schedule());
}

// Records the result for the alerts, and since when a new rule waits. A machine that is no longer
// protected starts with a new grace when it is protected again.
void RetentionService::remember(const MachinePlan& plan) {
  catalog::RetentionMark mark = catalog_.retention_mark(plan.tenant, plan.machine);
  if (Grace{mark.applied, mark.wanted, mark.wanted_since_ms} != plan.grace) {
    catalog_.save_retention_mark(
        plan.tenant, plan.machine,
        {plan.grace.applied, plan.grace.wanted, plan.grace.wanted_since_ms});
  }
  auto state = state_.lock();
  Standing& standing = state->machines[{plan.tenant, plan.machine}];
  standing.held = plan.is_held_back ? plan.held : "";
  standing.beyond = plan.beyond;
  if (plan.going > 0) return;
  standing.failure.clear();  // there is nothing to do, so nothing fails
  standing.failures = 0;
}

std::vector<catalog::Protection> RetentionService::selected(const Selection& selection) {
  std::vector<catalog::Protection> found;
  for (catalog::Protection& protection : catalog_.protections(selection.tenant)) {
    if (!selection.machine.empty() && protection.machine != selection.machine) continue;
    if (!selection.policy.empty() && name_of(protection) != selection.policy) continue;
    if (selection.machine.empty() && !protection.wanted) continue;
    found.push_back(std::move(protection));
  }
  if (!found.empty()) return found;
  if (selection.machine.empty()) {
    throw Error(ErrorCode::not_found,
                selection.policy.empty()
                    ? "no machine is protected: muletto machine protect"
                    : fmt::format("no protected machine has the policy '{}'", selection.policy));
  }
  catalog::Machine machine = catalog_.machine(selection.tenant, selection.machine);
  if (!selection.policy.empty()) {
    throw Error(ErrorCode::not_found, fmt::format("the machine '{}' does not have the policy '{}'",
                                                  selection.machine, selection.policy));
  }
  catalog::Protection unprotected;
  unprotected.tenant = selection.tenant;
  unprotected.machine = machine.name;
  return {unprotected};
}

std::vector<MachinePlan> RetentionService::preview(const Selection& selection,
                                                   const std::optional<std::string>& keep) {
  std::vector<MachinePlan> plans;
  for (const catalog::Protection& protection : selected(selection))
    plans.push_back(keep ? look_.under(protection, *keep) : look_.now(protection));
  return plans;
}

std::map<images::PointId, Decision> RetentionService::decisions(const access::TenantName& tenant,
                                                                const std::string& machine) {
  std::map<images::PointId, Decision> found;
  for (const catalog::Protection& protection : catalog_.protections(tenant)) {
    if (!protection.wanted || (!machine.empty() && protection.machine != machine)) continue;
    for (Decision& each : look_.now(protection).decisions) found.emplace(each.id, std::move(each));
  }
  return found;
}

Applied RetentionService::apply(const Selection& selection, Haste haste,
                                const access::Requester& requested_by) {
  Applied applied;
  for (const catalog::Protection& protection : selected(selection)) {
    MachinePlan plan = look_.now(protection);
    if (haste == Haste::now && plan.waits_until_ms) {
      catalog_.save_retention_mark(plan.tenant, plan.machine, {plan.rule, "", 0});
      plan = look_.now(protection);
    }
    remember(plan);
    if (!plan.held.empty()) {
      applied.held.push_back(std::move(plan));
      continue;
    }
    if (plan.going == 0) continue;
    state_.lock()->machines[{plan.tenant, plan.machine}].next_try_ms = 0;
    if (auto job = submit(plan, haste, requested_by)) applied.jobs.push_back(*job);
  }
  return applied;
}

// ---- deletions

bool RetentionService::is_under_way(const jobs::JobId& id) {
  if (id.number == 0) return false;
  try {
    return !catalog::is_over(jobs_.job(id).state);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return false;  // so long ago that it is no longer known
  }
}

// The job that does it: a new one, or the one that is already running or waiting. None in the pause
// after a failure.
std::optional<jobs::JobId> RetentionService::submit(const MachinePlan& plan, Haste haste,
                                                    const access::Requester& requested_by) {
  Key key{plan.tenant, plan.machine};
  auto state = state_.lock();
  Standing& standing = state->machines[key];
  if (haste == Haste::now) standing.is_hasty = true;
  if (is_under_way(standing.job)) return standing.job;
  if (around_.steady_ms() < standing.next_try_ms) return std::nullopt;
  standing.job = jobs_.submit({"retention", plan.tenant, plan.machine, requested_by},
                              [this, key](jobs::JobContext& context) { work(key, context); });
  return standing.job;
}

bool RetentionService::take_haste(const Key& key) {
  return std::exchange(state_.lock()->machines[key].is_hasty, false);
}

// It examines the machine again: much may have happened since it was queued. It repeats this if
// haste is requested meanwhile.
void RetentionService::work(const Key& key, jobs::JobContext& context) {
  try {
    Removal sum;
    bool is_hasty = take_haste(key);
    do {
      auto protection = catalog_.find_protection(key.first, key.second);
      if (!protection) return context.log("the machine is gone");
      MachinePlan plan = look_.now(*protection);
      if (!plan.held.empty()) return context.log("nothing is removed: " + plan.held);
      remove(plan, is_hasty ? plan.going : most_of_run(plan.decisions.size()), sum, context);
      is_hasty = take_haste(key);
    } while (is_hasty);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) failed(key, error.message());
    throw;
  } catch (const std::exception& error) {
    failed(key, error.what());
    throw;
  }
}

// Removes the oldest first, at most `most`.
void RetentionService::remove(const MachinePlan& plan, size_t most, Removal& sum,
                              jobs::JobContext& context) {
  size_t tried = 0;
  for (auto each = plan.decisions.rbegin(); each != plan.decisions.rend() && tried < most; ++each) {
    if (each->stays) continue;
    context.throw_if_stopped();
    if (!around_.clock_problem().empty()) {
      context.log("the rest is kept: the appliance's clock is no longer trusted");
      break;
    }
    ++tried;
    std::string when = base::format_time_ms(static_cast<uint64_t>(each->time_ms));
    try {
      deletion_.remove(plan.tenant, each->id);
      ++sum.removed;
      context.log(fmt::format("deleted {} of {}", each->id.hex(), when));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy && error.code() != ErrorCode::not_found) throw;
      ++sum.busy;
      context.log(fmt::format("{} of {} stays: {}", each->id.hex(), when, error.message()));
    }
    context.set_progress({tried, most, "deleting points"});
    context.set_figures(nlohmann::json{{"removed", sum.removed}, {"busy", sum.busy}}.dump());
  }
  auto state = state_.lock();
  Standing& standing = state->machines[{plan.tenant, plan.machine}];
  standing.failure.clear();
  standing.failures = 0;
  bool all_busy = sum.removed == 0 && sum.busy > 0;
  standing.next_try_ms = all_busy ? around_.steady_ms() + kBusyPauseMs : 0;
}

void RetentionService::failed(const Key& key, const std::string& problem) {
  auto state = state_.lock();
  Standing& standing = state->machines[key];
  if (standing.failures == 0) standing.failing_since_ms = around_.now_ms();
  uint64_t pause = kFirstRetryMs << std::min(standing.failures, 10u);
  ++standing.failures;
  standing.failure = problem;
  standing.next_try_ms = around_.steady_ms() + std::min(pause, kLongestRetryMs);
}

// ---- alerts

std::vector<alerts::Condition> RetentionService::conditions() {
  std::vector<alerts::Condition> found;
  std::map<access::TenantName, std::vector<std::pair<std::string, Standing>>> failing;  // by tenant
  auto state = state_.lock();
  for (const auto& [key, standing] : state->machines) {
    std::string held = standing.held.empty() ? standing.beyond : standing.held;
    if (!held.empty()) {
      found.push_back({alerts::kRetentionHeld, key.first, key.second,
                       fmt::format("points of '{}' are not removed: {}", key.second, held)});
    }
    if (standing.failures > 0) failing[key.first].emplace_back(key.second, standing);
  }
  for (const auto& [tenant, machines] : failing) {
    std::string names;
    uint64_t since = machines.front().second.failing_since_ms;
    for (size_t i = 0; i < machines.size(); ++i) {
      since = std::min(since, machines[i].second.failing_since_ms);
      if (i < kMachinesNamed) names += (i == 0 ? "" : ", ") + machines[i].first;
    }
    if (machines.size() > kMachinesNamed)
      names += fmt::format(" and {} more", machines.size() - kMachinesNamed);
    found.push_back(
        {alerts::kRetentionFailing, tenant, tenant,
         fmt::format("since {} the points that policies do not keep cannot be removed "
                     "({}): {}",
                     base::format_time_ms(since), names, machines.front().second.failure)});
  }
  if (state->round_ms && around_.steady_ms() > *state->round_ms + kLateAfterMs) {
    found.push_back({alerts::kRetentionFailing, access::TenantName(catalog::kDefaultTenant),
                     "appliance",
                     fmt::format("retention has not examined all machines since {}",
                                 base::format_time_ms(state->round_wall_ms))});
  }
  return found;
}

}  // namespace appliance::retention
