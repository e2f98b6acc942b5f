// What the scheduler does by itself, and where it looks for what is wrong.
#include <fmt/format.h>

#include <utility>

#include "appliance/schedule/scheduler.h"
#include "base/error.h"
#include "base/internal_errors.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

constexpr std::chrono::seconds kRound{2};
constexpr std::chrono::minutes kPatience{15}, kAlertsPatience{2};
constexpr const char* kAlerts = "alerts";  // the duty
// A failure that is over within that time (libvirt is being restarted) is in the log alone.
constexpr std::chrono::seconds kToldAfter{30};
constexpr uint64_t kInternalErrorOpenMs = 24ull * 3'600'000;  // after the last one

alerts::Condition of_the_appliance(const char* kind, std::string subject, std::string message) {
  return {kind, std::string(catalog::kDefaultTenant), std::move(subject), std::move(message)};
}

std::vector<alerts::Condition> internal_error_conditions(uint64_t now_ms) {
  std::vector<alerts::Condition> found;
  for (const base::InternalError& each : base::internal_errors()) {
    if (now_ms > each.last_ms + kInternalErrorOpenMs) continue;
    found.push_back(
        of_the_appliance(alerts::kInternalError, each.place,
                         fmt::format("an unexpected failure in {} at {}: {}", each.place,
                                     base::format_time_ms(each.last_ms), each.message)));
  }
  return found;
}

std::vector<alerts::Condition> channel_conditions(alerts::AlertChannels& channels) {
  std::vector<alerts::Condition> found;
  for (const alerts::ChannelTrouble& each : channels.troubles()) {
    found.push_back(
        of_the_appliance(alerts::kAlertChannelFailing, each.channel,
                         fmt::format("the {} for alerts fails since {}: {}", each.channel,
                                     base::format_time_ms(each.since_ms), each.error)));
  }
  return found;
}

}  // namespace

void Scheduler::add_duties() {
  auto add = [this](std::string name, std::string what, std::function<void()> round) {
    auto patience = name == kAlerts ? kAlertsPatience : kPatience;
    duties_.add({std::move(name), std::move(what), kRound, std::move(round), patience});
  };
  add("orders", "orders of hosts that fell silent are not given up",
      [this] { expire_silent_orders(); });
  add("upkeep", "stores are neither compacted nor checked",
      [this] { upkeep_.round(clock_.wall_ms()); });
  add("old rows", "old rows of the catalog are not forgotten",
      [this] { forget_old(*state_.lock(), clock_.wall_ms()); });
  add("test boots", "machines are not tested at night",
      [this] { nightly_.round(clock_.wall_ms()); });
  add(kAlerts, "alerts are neither opened nor closed", [this] { settle_alerts(); });
}

// A catalog that takes no alerts is told by the channels alone, once.
void Scheduler::settle_alerts() {
  try {
    watch_.round(clock_.wall_ms());
    unsettled_ = false;
  } catch (const std::exception& error) {
    if (!std::exchange(unsettled_, true)) {
      catalog::Alert alert;
      alert.tenant = catalog::TenantName(catalog::kDefaultTenant);
      alert.kind = alerts::kDutyFailing;
      alert.subject = "alerts";
      alert.message =
          fmt::format("alerts cannot be written down: {}; see muletto status", error.what());
      alert.opened_ms = base::now_ms();
      channels_.tell(alert, alerts::AlertChange::opened);
    }
    throw;
  }
}

void Scheduler::expect_watching() {
  for (const DutyFailure& each : duties_.failures()) {
    if (each.name == kAlerts) throw base::Error(base::ErrorCode::unavailable, each.error);
  }
}

void Scheduler::expire_silent_orders() {
  auto state = state_.lock();
  const base::Error silent(base::ErrorCode::unavailable, "the agent of its host is silent");
  for (auto order = state->orders.begin(); order != state->orders.end();) {
    if (!is_silent(state->hosts[order->second.host])) ++order;
    else order = end_order(*state, order, silent);
  }
}

std::vector<AlertSource> Scheduler::alert_sources() {
  std::vector<AlertSource> sources = others_.alert_sources;
  FactSources facts{
      catalog_,
      stores_,
      [this] { return seen_hosts(); },
      [this](const std::string& tenant, const std::string& name) { return policy(tenant, name); },
      clock_,
      started_ms_,
      others_.clock_trust};
  sources.push_back({"machines, hosts and stores",
                     {alerts::kMachineOverdue, alerts::kMachineUnprotected, alerts::kSyncFailing,
                      alerts::kHostSilent, alerts::kStoreNearlyFull, alerts::kVerificationFailed,
                      alerts::kVerificationOverdue, alerts::kRecoverySlow, alerts::kPointsDamaged,
                      alerts::kStoreDamaged, alerts::kClockWrong, alerts::kApplianceClock},
                     [facts](uint64_t now_ms) {
                       return alerts::conditions_of(protection_facts(facts, now_ms), now_ms);
                     }});
  if (others_.conditions) {
    sources.push_back({"the instant VMs", {alerts::kInstantVmDown}, [this](uint64_t) {
                         return others_.conditions();
                       }});
  }
  sources.push_back({"the channels of alerts", {alerts::kAlertChannelFailing}, [this](uint64_t) {
                       return channel_conditions(channels_);
                     }});
  sources.push_back({"the daemon itself", {alerts::kInternalError}, internal_error_conditions});
  return sources;
}

std::vector<alerts::Condition> Scheduler::duty_conditions() {
  std::vector<alerts::Condition> found;
  for (const DutyFailure& each : duties_.failures()) {
    if (each.lasts < kToldAfter) continue;
    found.push_back(of_the_appliance(alerts::kDutyFailing, each.name,
                                     fmt::format("{}, since {}: {}", each.what,
                                                 base::format_time_ms(each.since_ms), each.error)));
  }
  return found;
}

}  // namespace appliance::schedule
