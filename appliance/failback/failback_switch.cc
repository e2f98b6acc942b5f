// The steps of the switch: from the end of the VM here to the machine's start at home, and what follows.
#include <fmt/format.h>

#include "appliance/failback/failback_turn.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::failback {
namespace {

using base::Error;
using base::ErrorCode;
using catalog::Job;
using catalog::JobState;

constexpr uint64_t kAskAgainMs = 15'000;  // guests that were not listening yet
constexpr uint64_t kLastPatienceMs = 5 * 60'000;
constexpr uint64_t kStartPatienceMs = 20'000;  // for one order to start; then it is given again
constexpr size_t kNumberSize = 16;             // bytes

}  // namespace

void FailbackTurn::end_here() {
  links_.restores.hurry(row_.host);
  drop(order_);
  drop(sync_);
  fresh_.reset();
  uint64_t now = links_.clock.steady_ms();
  if (handover().take_from_here(boot_, row_.id)) {
    change([&](Row& row) { row.holder = "nobody"; });
    return go(Step::last, "the VM has ended here");
  }
  if (now - step_began_ms_ > row_.plan.shutdown_ms) {
    change([&](Row& row) {
      row.wants_switch = false;
      row.plan.at_ms.reset();
      row.problem = fmt::format(
          "the guest did not shut down within {}; it runs on here. Shut it down yourself, or start "
          "the failback with --power-off; then: muletto failback finish {}",
          base::format_duration_ms(row.plan.shutdown_ms), row.id);
    });
    return go(Step::following, row_.problem);
  }
  if (asked_ms_ != 0 && now - asked_ms_ < kAskAgainMs) return;
  asked_ms_ = now;
  if (row_.plan.end == catalog::FailbackEnd::power_off) handover().cut_power(boot_, row_.id);
  else handover().ask_to_end(boot_, row_.id);
}

void FailbackTurn::take_last() {
  links_.restores.hurry(row_.host);
  bool is_late = links_.clock.steady_ms() - step_began_ms_ > kLastPatienceMs;
  if (row_.wants_back || is_late) {
    return bring_back(row_.wants_back ? "a person wants the machine here"
                                      : "the last difference did not reach home in time");
  }
  if (!fresh_) {
    handover().open_for_reading(boot_, row_.id);
    std::optional<Job> job = sync();
    if (!job) return;
    if (job->state != JobState::succeeded) return fail_for_now(job->error_message);
    fresh_ = newest_point();
    handover().end_reading(boot_, row_.id);
    say(fmt::format("the last point is {}", fresh_->hex()));
  }
  std::optional<Job> job = order(HomeStep::last, *fresh_);
  if (!job) return;
  if (job->state != JobState::succeeded) return fail_for_now(job->error_message);
  change([&](Row& row) {
    row.point = fresh_;
    row.last_written = figure_of(*job, "written");
    row.problem.clear();
    row.number = base::to_hex(base::random_array<kNumberSize>());
    row.voided.clear();
  });
  fresh_.reset();
  go(Step::handing, fmt::format("home has everything: {} in the last difference, read back",
                                base::format_size(row_.last_written)));
}

void FailbackTurn::hand_over() {
  links_.restores.hurry(row_.host);
  handover().end_reading(boot_, row_.id);
  handover().give_home(boot_, row_.id, row_.number);
  change([&](Row& row) { row.holder = "home"; });
  is_voiding_ = false;
  go(Step::starting, fmt::format("the machine is handed to '{}'", row_.host_name));
}

void FailbackTurn::start_there() {
  links_.restores.hurry(row_.host);
  if (row_.wants_back && row_.is_vouched_off) {
    drop(order_);
    change([&](Row& row) { row.voided = row.number; });
    return bring_back("a person vouches that home is off and stays off");
  }
  if (row_.wants_back && !is_voiding_) drop(order_);
  if (row_.wants_back) is_voiding_ = true;
  // An order that the agent lost, or whose host went silent, is given again.
  if (order_ && links_.clock.steady_ms() - order_->begun_ms > kStartPatienceMs) drop(order_);
  HomeStep step = is_voiding_ ? HomeStep::never_start : HomeStep::start;
  std::optional<Job> job = order(step, *row_.point);
  if (!job) return;
  if (job->state != JobState::succeeded) {
    // The agent itself said no, or nobody answered: both are settled by what home promises.
    bool was_refused = job->state == JobState::failed && job->error_code == ErrorCode::io;
    if (was_refused) {
      say(job->error_message);
      is_voiding_ = true;
    }
    return fail_for_now(job->error_message);
  }
  switch (home_answer(*job)) {
    case HomeAnswer::voided:
      change([&](Row& row) { row.voided = row.number; });
      return bring_back("home did not start the machine, and never will for that order");
    case HomeAnswer::runs:
    case HomeAnswer::ran: break;
    case HomeAnswer::none: return fail_for_now("home did not say whether the machine runs");
  }
  bool runs = home_answer(*job) == HomeAnswer::runs;
  uint64_t now = links_.clock.wall_ms();
  links_.catalog.assign_machine(row_.tenant, row_.machine, row_.host);
  change([&](Row& row) {
    row.pause_ms = now > row.pause_begun_ms ? now - row.pause_begun_ms : 0;
    row.wants_switch = row.wants_back = false;
    row.problem = runs ? ""
                       : fmt::format("the machine was started on '{}', and is off now: see there",
                                     row.host_name);
  });
  go(Step::kept,
     fmt::format("the machine {} on '{}'; the pause was {}", runs ? "runs" : "was started",
                 row_.host_name, base::format_duration_ms(row_.pause_ms)));
}

// Only from a holder that is `nobody`, or `home` with its number voided.
void FailbackTurn::bring_back(const std::string& why) {
  drop(order_);
  drop(sync_);
  fresh_.reset();
  is_voiding_ = false;
  bool is_vouched = row_.is_vouched_off;
  change([&](Row& row) {
    row.holder = "here";
    row.wants_switch = row.wants_back = false;
    row.plan.at_ms.reset();
    row.problem = fmt::format(
        "{}; the machine runs here again. When that is settled: muletto "
        "failback finish {}",
        why, row.id);
  });
  go(Step::following, why + "; the machine is started here again");
  settle_here();
  if (!is_vouched) return;
  // Its host has an order to start it, and is told otherwise when it is back (keep_off.h).
  handover().release(boot_, row_.id);
  end(Step::cancelled, Error(ErrorCode::cancelled, why + "; the machine runs here again"));
}

// ---- afterwards

void FailbackTurn::keep_here() {
  bool is_over = base::has_passed(row_.step_ms, row_.plan.keep_ms, links_.clock.wall_ms());
  if (!row_.wants_switch && !is_over) return;
  handover().give_up(boot_, row_.id);
  end(Step::done, std::nullopt);
}

}  // namespace appliance::failback
