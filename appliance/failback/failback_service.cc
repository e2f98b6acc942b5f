#include "appliance/failback/failback_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/boot/handover.h"
#include "appliance/failback/failback_turn.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::failback {

using base::Error;
using base::ErrorCode;
using catalog::Failback;
using catalog::FailbackStep;

namespace {

constexpr std::chrono::milliseconds kRound{100}, kIdleRound{500};
constexpr uint32_t kListed = 500;
// Home has been asked to start the machine, and has not answered for so long.
constexpr uint64_t kUndecidedAfterMs = 60'000;

[[noreturn]] void refuse(const Failback& row, const std::string& why) {
  throw Error(ErrorCode::busy, fmt::format("failback {} of '{}' is {}: {}", row.id, row.machine,
                                           catalog::failback_step_name(row.step), why));
}

void require_live(const Failback& row) {
  if (catalog::is_over(row.step)) refuse(row, "it is over");
}

}  // namespace

FailbackService::FailbackService(const Links& links) : links_(links), rows_(links.catalog) {}
FailbackService::~FailbackService() { stop(); }

void FailbackService::run() {
  thread_ = base::GuardedThread("failbacks", base::AfterFailure::begin_again,
                                [this](const std::stop_token& stop) { take_turns(stop); });
}

void FailbackService::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  turns_.clear();
}

Failback FailbackService::start(const boot::BootId& boot, const catalog::Host& host,
                                const catalog::FailbackPlan& plan,
                                const access::Requester& requester) {
  if (host.revoked) {
    throw Error(ErrorCode::unauthorized,
                fmt::format("the host '{}' was revoked; nothing is brought home to it", host.name));
  }
  boot::HandoverView view = links_.boots.handover().look(boot);
  if (view.vm.tenant != host.tenant) throw Error(ErrorCode::not_found, "there is no such host");
  Failback row;
  row.tenant = view.vm.tenant;
  row.machine = view.vm.machine_name;
  row.boot = boot.hex();
  row.host = host.id;
  row.host_name = host.name;
  row.requested_by = requester.text();
  row.plan = plan;
  row.created_ms = row.step_ms = links_.clock.wall_ms();
  row.id = links_.catalog.add_failback(row);
  try {
    links_.boots.handover().claim(boot, row.id);
  } catch (const Error& error) {
    row.step = FailbackStep::failed;
    row.problem = error.message();
    row.ended_ms = links_.clock.wall_ms();
    links_.catalog.save_failback(row);
    throw;
  }
  return row;
}

std::vector<Failback> FailbackService::list(const access::TenantScope& scope, bool over_too) {
  return links_.catalog.failbacks(scope, over_too, kListed);
}

Failback FailbackService::finish(int64_t id, const access::TenantScope& scope) {
  return rows_.change(id, scope, [](Failback& row) {
    require_live(row);
    if (catalog::is_switching(row.step)) refuse(row, "the switch has begun");
    row.wants_switch = true;
    row.is_paused = false;
  });
}

Failback FailbackService::cancel(int64_t id, const access::TenantScope& scope) {
  return rows_.change(id, scope, [](Failback& row) {
    require_live(row);
    if (row.step >= FailbackStep::ending) {
      refuse(row, row.step == FailbackStep::kept
                      ? "the machine runs at home; 'muletto failback finish' gives up the VM here"
                      : "the switch has begun; 'muletto failback keep' asks for the machine back");
    }
    row.wants_cancel = true;
  });
}

Failback FailbackService::pause(int64_t id, const access::TenantScope& scope, bool paused) {
  return rows_.change(id, scope, [&](Failback& row) {
    require_live(row);
    if (row.step >= FailbackStep::ending) refuse(row, "only what goes before the switch can pause");
    row.is_paused = paused;
  });
}

Failback FailbackService::keep(int64_t id, const access::TenantScope& scope, bool vouches) {
  return rows_.change(id, scope, [&](Failback& row) {
    require_live(row);
    if (row.step < FailbackStep::last) refuse(row, "the machine runs here; cancel it instead");
    if (row.step == FailbackStep::kept)
      refuse(row, "the machine was started at home, which has what was written since");
    row.wants_back = true;
    if (vouches) row.is_vouched_off = true;
  });
}

std::vector<alerts::Condition> FailbackService::conditions() {
  std::vector<alerts::Condition> found;
  uint64_t now = links_.clock.wall_ms();
  for (const Failback& row : links_.catalog.failbacks(access::TenantScope::all(), false, kListed)) {
    if (row.step == FailbackStep::starting &&
        base::has_passed(row.step_ms, kUndecidedAfterMs, now)) {
      found.push_back(
          {alerts::kFailbackUndecided, row.tenant, row.machine,
           fmt::format("'{0}' was handed to the host '{1}' at {2}, and its agent has not answered "
                       "whether it runs: so it is not started here. Bring the host back, or, if "
                       "it is off and stays off: muletto failback keep {3} --home-is-off {0}",
                       row.machine, row.host_name, base::format_time_ms(row.step_ms), row.id)});
    } else if (!row.problem.empty()) {
      found.push_back(
          {alerts::kFailbackFailing, row.tenant, row.machine,
           fmt::format("failback {} of '{}' to '{}' ({}): {}", row.id, row.machine, row.host_name,
                       catalog::failback_step_name(row.step), row.problem)});
    }
  }
  return found;
}

void FailbackService::take_turns(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<Failback> live =
        links_.catalog.failbacks(access::TenantScope::all(), false, kListed);
    std::reverse(live.begin(), live.end());  // the oldest first: it switches first
    std::erase_if(turns_, [&](const auto& turn) {
      return std::none_of(live.begin(), live.end(),
                          [&](const Failback& row) { return row.id == turn.first; });
    });
    // One pause at a time: each is as short as it can be.
    bool is_switching = std::any_of(live.begin(), live.end(), [](const Failback& row) {
      return catalog::is_switching(row.step);
    });
    for (const Failback& row : live) {
      std::unique_ptr<FailbackTurn>& turn = turns_[row.id];
      if (!turn) turn = std::make_unique<FailbackTurn>(links_, rows_, row);
      if (turn->take(!is_switching)) is_switching = true;
    }
    base::sleep_unless_stopped(stop, is_switching ? kRound : kIdleRound);
  }
}

}  // namespace appliance::failback
