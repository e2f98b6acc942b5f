#include "appliance/schedule/alert_loop.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/internal_errors.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

// A failure that ends within this time (libvirt is being restarted) is only logged.
constexpr std::chrono::seconds kToldAfter{30};
constexpr uint64_t kInternalErrorOpenMs = 24ull * 3'600'000;  // after the last one

alerts::Condition of_the_appliance(const char* kind, std::string subject, std::string message) {
  return {kind, catalog::TenantName(catalog::kDefaultTenant), std::move(subject),
          std::move(message)};
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

std::vector<alerts::Condition> channel_conditions(notices::Channels& channels) {
  std::vector<alerts::Condition> found;
  for (const notices::ChannelStanding& each : channels.standings()) {
    if (each.failing_since_ms == 0) continue;
    std::string waiting =
        each.queue.waiting_count == 0
            ? ""
            : fmt::format("; {} waiting", base::format_count(each.queue.waiting_count, "notice"));
    std::string dropped =
        each.dropped_count == 0
            ? ""
            : fmt::format("; {} never sent", base::format_count(each.dropped_count, "notice"));
    found.push_back(of_the_appliance(
        alerts::kAlertChannelFailing, each.name,
        fmt::format("the channel '{}' ({}) fails since {}: {}{}{}", each.name, each.kind,
                    base::format_time_ms(each.failing_since_ms), each.error, waiting, dropped)));
  }
  return found;
}

}  // namespace

AlertLoop::AlertLoop(catalog::AlertRecords& records, notices::Channels& channels,
                     std::vector<AlertSource> sources, DutyRunner& duties, alerts::AlertHook hook)
    : channels_(channels), book_(records, std::move(hook)),
      watch_(book_, with_own(std::move(sources)), [&duties] { return duty_conditions(duties); }) {}

std::vector<AlertSource> AlertLoop::with_own(std::vector<AlertSource> sources) {
  sources.push_back({"the channels of alerts", {alerts::kAlertChannelFailing}, [this](uint64_t) {
                       return channel_conditions(channels_);
                     }});
  sources.push_back({"the daemon itself", {alerts::kInternalError}, internal_error_conditions});
  return sources;
}

void AlertLoop::round(uint64_t now_ms) {
  try {
    watch_.round(now_ms);
    unsettled_ = false;
  } catch (const std::exception& error) {
    if (!std::exchange(unsettled_, true)) {
      catalog::Alert alert;
      alert.tenant = catalog::TenantName(catalog::kDefaultTenant);
      alert.kind = alerts::kDutyFailing;
      alert.subject = "alerts";
      alert.message =
          fmt::format("alerts cannot be recorded: {}; see muletto status", error.what());
      alert.opened_ms = base::now_ms();
      channels_.tell_at_once(alert);
    }
    throw;
  }
  channels_.hand_out(now_ms);
}

AlertSource protection_source(const FactSources& facts) {
  return {
      "machines, hosts and stores",
      {alerts::kMachineOverdue, alerts::kMachineUnprotected, alerts::kSyncFailing,
       alerts::kTimelineTaken, alerts::kHostSilent, alerts::kStoreNearlyFull,
       alerts::kVerificationFailed, alerts::kVerificationOverdue, alerts::kRecoverySlow,
       alerts::kPointsDamaged, alerts::kStoreDamaged, alerts::kClockWrong, alerts::kApplianceClock},
      [facts](uint64_t now_ms) {
        return alerts::conditions_of(protection_facts(facts, now_ms), now_ms);
      }};
}

std::vector<alerts::Condition> duty_conditions(DutyRunner& duties) {
  std::vector<alerts::Condition> found;
  for (const DutyFailure& each : duties.failures()) {
    if (each.lasts < kToldAfter) continue;
    found.push_back(of_the_appliance(alerts::kDutyFailing, each.name,
                                     fmt::format("{}, since {}: {}", each.what,
                                                 base::format_time_ms(each.since_ms), each.error)));
  }
  return found;
}

}  // namespace appliance::schedule
