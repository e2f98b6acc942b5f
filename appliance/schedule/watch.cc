// The scheduler's thread: alerts, the retention of points, the space that comes back after it, and
// the check of what is kept.
#include <fmt/format.h>

#include <filesystem>

#include "appliance/catalog/proved_recovery.h"
#include "appliance/schedule/compaction.h"
#include "appliance/schedule/scheduler.h"
#include "appliance/schedule/store_check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

constexpr std::chrono::seconds kWatchEvery{2};
constexpr uint64_t kRetainEveryMs = 60'000;
constexpr uint64_t kDayMs = 24 * 3'600'000;
constexpr uint64_t kForgetEveryMs = 3'600'000;
constexpr uint64_t kKeepGapsMs = 100 * kDayMs;

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

const std::set<std::string> kSettled{
    alerts::kMachineOverdue, alerts::kMachineUnprotected, alerts::kSyncFailing,
    alerts::kHostSilent,     alerts::kStoreNearlyFull,    alerts::kVerificationFailed,
    alerts::kRecoverySlow,   alerts::kInstantVmDown,      alerts::kPointsDamaged,
    alerts::kStoreDamaged,   alerts::kClockWrong,         alerts::kApplianceClock,
    alerts::kStoreUnusable,  alerts::kPointsMissing,      alerts::kDependencyMissing};

}  // namespace

alerts::Facts Scheduler::facts(State& state, uint64_t now_ms) {
  alerts::Facts facts;
  std::map<catalog::HostId, alerts::HostFacts> hosts;
  for (const catalog::Host& host : catalog_.hosts()) {
    alerts::HostFacts known;
    known.tenant = host.tenant;
    known.name = host.name;
    known.revoked = host.revoked;
    known.last_seen_ms = host.last_seen_ms.value_or(host.enrolled_ms);
    // Of a clock that was ahead: it counts as heard when this daemon began.
    if (known.last_seen_ms > now_ms)
      known.last_seen_ms = ago(now_ms, clock_.steady_ms() - started_ms_);
    if (auto report = catalog_.find_report(host.id)) {
      known.is_service = true;
      auto live = state.hosts.find(host.id);
      if (live != state.hosts.end())
        known.last_seen_ms = ago(now_ms, clock_.steady_ms() - live->second.polled_ms);
      else if (report->time_ms <= now_ms)
        known.last_seen_ms = std::max(known.last_seen_ms, report->time_ms);
    }
    hosts[host.id] = known;
  }
  std::set<std::string> readable;
  for (const stores::StoreStanding& standing : stores_.standings()) {
    if (standing.can_be_read()) readable.insert(standing.tenant);
  }
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    std::map<std::string, catalog::Machine> machines;
    for (catalog::Machine& machine : catalog_.machines(tenant.name))
      machines[machine.name] = std::move(machine);
    add_host_clocks(machines, hosts);
    std::map<std::string, catalog::Protection> protections;
    for (catalog::Protection& protection : catalog_.protections(tenant.name))
      protections[protection.machine] = std::move(protection);
    for (const auto& [name, machine] : machines) {
      if (!machine.host || protections.contains(name)) continue;
      protections[name] = {
          .tenant = tenant.name, .machine = name, .noticed_ms = machine.created_ms};
    }
    for (const auto& [name, protection] : protections) {
      PolicyPointer policy = policy_of(state, tenant.name, protection.policy);
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
      for (const auto& [id, live] : state.hosts) {
        if (!known.host && live.tenant == tenant.name && live.machines.contains(name))
          known.host = hosts[id];
      }
      // A point of a clock that was ahead says nothing of how fresh it is.
      uint64_t stamp = known.latest_ms.value_or(protection.noticed_ms);
      auto since = static_cast<int64_t>(stamp > now_ms ? 0 : stamp);
      known.overdue_at_ms =
          static_cast<uint64_t>(known.wanted ? policy::overdue_at(*policy, name, since)
                                             : since + policy::kAgeWithoutSchedule);
      add_test_boots(known, *policy);
      facts.machines.push_back(std::move(known));
    }
    // Machines whose points were imported have no protection, but may be tested.
    for (const auto& [name, machine] : machines) {
      if (protections.contains(name)) continue;
      alerts::MachineFacts known;
      known.tenant = tenant.name;
      known.name = name;
      known.imported = true;
      add_test_boots(known, *policy_of(state, tenant.name, ""));
      facts.machines.push_back(std::move(known));
    }
    alerts::StoreFacts store{.tenant = tenant.name};
    // Where the store is not there, the space is another disk's.
    std::error_code absent;
    auto space = std::filesystem::space(stores_.directory_of(tenant.name), absent);
    if (!absent && readable.contains(tenant.name)) {
      store.free = space.available;
      store.size = space.capacity;
    }
    store.damaged_point_count = catalog_.damaged_points(tenant.name).size();
    if (auto check = catalog_.last_store_check(tenant.name)) {
      store.checked_ms = check->checked_ms;
      store.problem_count = check->problem_count;
      store.first_problem = check->first_problem;
    }
    facts.stores.push_back(std::move(store));
  }
  for (const auto& [id, known] : hosts) facts.hosts.push_back(known);
  if (others_.clock_trust != nullptr) facts.clock_problem = others_.clock_trust->look().problem;
  // A host that fell silent with orders in its hands gives them up.
  for (auto order = state.orders.begin(); order != state.orders.end();) {
    if (!is_silent(state.hosts[order->second.host])) {
      ++order;
      continue;
    }
    order = end_order(state, order,
                      base::Error(base::ErrorCode::unavailable, "the agent of its host is silent"));
  }
  return facts;
}

void Scheduler::add_test_boots(alerts::MachineFacts& machine, const policy::Policy& policy) {
  auto newest = catalog_.newest_verdict(machine.tenant, machine.name);
  if (newest && newest->verdict == "fail") machine.boot_failure = newest->reason;
  machine.rto_ms = policy.rto_ms;
  if (!policy.rto_ms) return;
  auto times = catalog_.recovery_times(machine.tenant, machine.name, catalog::kRecoveryFrom);
  if (!times.empty()) machine.recovery_ms = catalog::proved_recovery(times).recent_ms;
}

// After that time since the last one, whoever ordered it, or since the tenant began. One that was
// cut off or cancelled is made up for after a day.
bool Scheduler::is_due(uint64_t& last_ms, const catalog::Tenant& tenant, const char* kind,
                       uint64_t every_ms, uint64_t now_ms) {
  if (last_ms > now_ms) last_ms = 0;
  if (tenant.created_ms <= now_ms) last_ms = std::max(last_ms, tenant.created_ms);
  if (now_ms < last_ms + every_ms) return false;
  catalog::JobFilter newest{.state = {}, .kind = kind, .subject = tenant.name, .limit = 1};
  for (const catalog::Job& job : catalog_.jobs(newest)) {
    if (job.created_ms > now_ms) continue;
    bool was_cut_off =
        job.state == catalog::JobState::cancelled ||
        (job.state == catalog::JobState::failed && job.error_code != base::ErrorCode::corrupt);
    uint64_t counts_from_ms = ago(job.created_ms, was_cut_off ? every_ms - kDayMs : 0);
    last_ms = std::max(last_ms, counts_from_ms);
  }
  return now_ms >= last_ms + every_ms && !catalog_.machines(tenant.name).empty();
}

bool Scheduler::is_check_under_way() {
  for (auto state : {catalog::JobState::queued, catalog::JobState::running}) {
    if (!catalog_.jobs({.state = state, .kind = "check", .subject = "", .limit = 1}).empty())
      return true;
  }
  return false;
}

// Once an hour, and never by a clock that cannot be believed.
void Scheduler::forget_old(State& state, uint64_t now_ms) {
  const uint64_t steady = clock_.steady_ms();
  if (state.forgotten_ms && steady < *state.forgotten_ms + kForgetEveryMs) return;
  state.forgotten_ms = steady;
  if (others_.clock_trust != nullptr && !others_.clock_trust->look().trusted) return;
  catalog_.forget_gaps(ago(now_ms, kKeepGapsMs));
  catalog_.forget_test_boots(
      ago(now_ms, std::chrono::milliseconds(catalog::Catalog::kTestBootAge).count()));
}

// Stores are checked one after the other: each reads all that there is.
void Scheduler::keep_up(State& state, uint64_t now_ms) {
  forget_old(state, now_ms);
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    Upkeep& last = state.upkeep[tenant.name];
    if (is_due(last.compacted_ms, tenant, "compact", kCompactEveryMs, now_ms)) {
      submit_compaction(jobs_, stores_, tenant.name);
      last.compacted_ms = now_ms;
    }
    if (is_due(last.checked_ms, tenant, "check", kCheckEveryMs, now_ms) && !is_check_under_way()) {
      submit_store_check(jobs_, stores_, catalog_, {.tenant = tenant.name, .in_background = true});
      last.checked_ms = now_ms;
    }
  }
}

void Scheduler::retain(State& state) {
  const uint64_t steady = clock_.steady_ms();
  if (state.retained_ms && steady < *state.retained_ms + kRetainEveryMs) return;
  state.retained_ms = steady;
  // How old a point is hangs on the clock.
  if (others_.clock_trust != nullptr && !others_.clock_trust->look().trusted) return;
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    for (const catalog::Protection& protection : catalog_.protections(tenant.name)) {
      PolicyPointer policy = policy_of(state, tenant.name, protection.policy);
      if (!protection.wanted || policy->retention.keeps_all()) continue;
      std::vector<policy::DatedPoint> points;
      if (!catalog_.find_machine(tenant.name, protection.machine)) continue;
      for (const catalog::PointRow& row : catalog_.points(tenant.name, protection.machine))
        points.push_back({row.summary.id, static_cast<int64_t>(row.summary.time_ms)});
      auto old = policy::points_to_delete(std::move(points), policy->retention, policy->zone);
      if (old.empty()) continue;
      std::string name = tenant.name;
      jobs_.submit({"retention", name, protection.machine}, [this, name,
                                                             old](jobs::JobContext& context) {
        auto writer = stores_.expect_writable(name);
        for (const images::PointId& id : old) {
          context.throw_if_stopped();
          try {
            others_.expect_deletable(id);
            catalog_.intend_removal(name, id);
            writer->delete_point(id);
          } catch (const base::Error& error) {
            if (error.code() != base::ErrorCode::busy && error.code() != base::ErrorCode::not_found)
              throw;
            context.log(fmt::format("{} stays: {}", id.hex(), error.message()));
            if (error.code() == base::ErrorCode::busy) continue;
          }
          catalog_.remove_point(name, id);
          context.log("deleted " + id.hex());
        }
      });
    }
  }
}

// Those whose nightly instant came since the last look.
std::vector<Scheduler::Key> Scheduler::due_verifications(State& state, uint64_t now_ms) {
  std::vector<Key> due;
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    for (const catalog::Protection& protection : catalog_.protections(tenant.name)) {
      PolicyPointer policy = policy_of(state, tenant.name, protection.policy);
      if (!protection.wanted || policy->verification != policy::Verification::nightly) continue;
      auto machine = catalog_.find_machine(tenant.name, protection.machine);
      if (!machine || machine->point_count == 0) continue;
      int minute = policy->verification_minute;
      auto nightly =
          policy::Schedule::parse({fmt::format("daily {:02}:{:02}", minute / 60, minute % 60)});
      auto next = nightly.next_after(static_cast<int64_t>(state.verified_ms), policy->zone);
      if (next && static_cast<uint64_t>(*next) <= now_ms)
        due.emplace_back(tenant.name, protection.machine);
    }
  }
  state.verified_ms = now_ms;
  return due;
}

// A test boot that cannot be ordered costs nobody his sync.
void Scheduler::verify(const Key& machine, const char* why) {
  if (!others_.verify) return;
  try {
    others_.verify(machine.first, machine.second, why);
  } catch (const base::Error& error) {
    base::log().warn("no test boot of {}: {}", machine.second, error.message());
  }
}

void Scheduler::expect_watching() {
  constexpr std::chrono::seconds kPatience{60};
  auto watching = watching_.lock();
  if (!watching->problem.empty())
    throw base::Error(base::ErrorCode::unavailable, "they are held up: " + watching->problem);
  auto silent = std::chrono::steady_clock::now() - watching->ended;
  if (silent < kPatience) return;
  auto silent_ms = std::chrono::duration_cast<std::chrono::milliseconds>(silent).count();
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("they were last dealt with {} ago",
                                base::format_duration_ms(static_cast<uint64_t>(silent_ms))));
}

void Scheduler::watch() {
  std::string last_problem;
  auto ending = [&] {
    auto state = state_.lock();
    return state.wait_for(changed_, kWatchEvery, [&] { return state->stopping; });
  };
  while (!ending()) {
    try {
      uint64_t now = clock_.wall_ms();
      alerts::Facts known;
      std::vector<Key> to_verify;
      {
        auto state = state_.lock();
        known = facts(*state, now);
        retain(*state);
        keep_up(*state, now);
        to_verify = due_verifications(*state, now);
      }
      for (const Key& machine : to_verify) verify(machine, "nightly");
      std::vector<alerts::Condition> conditions = alerts::conditions_of(known, now);
      if (others_.conditions) {
        for (alerts::Condition& each : others_.conditions()) conditions.push_back(std::move(each));
      }
      alerts_.settle(kSettled, conditions, now);
      last_problem.clear();
      *watching_.lock() = {};
    } catch (const base::Error& error) {
      watching_.lock()->problem = error.message();
      if (error.message() != last_problem)
        base::log().error("alerts and retention are held up: {}", error.message());
      last_problem = error.message();
    }
  }
}

}  // namespace appliance::schedule
