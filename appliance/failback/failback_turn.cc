// How each step reacts to a failure:
//
//   surveying           the failback has failed: nothing was changed anywhere
//   copying, following  tried again, after a pause that grows; the VM runs on
//   ending              the guest does not shut down in its time: following again
//   last                tried again; after kLastPatience the VM is started again, and follows again
//   starting            asked again for the same number, until home answers, or voids the number
//
// The order of writes at the switch, which "never two" rests on: boot.json leaves `here` before the row
// says `last`; boot.json says `home` with the number before the row says `starting`; and the order to
// start is given only in `starting`. On the way back the row comes first, and boot.json follows.
#include "appliance/failback/failback_turn.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::failback {
namespace {

using base::Error;
using base::ErrorCode;
using boot::Holder;
using catalog::Job;
using catalog::JobState;

constexpr uint64_t kFirstPauseMs = 2'000, kLongestPauseMs = 60'000;
constexpr uint64_t kSmallRest = 64ull << 20;  // bytes that a round writes: it need not shrink more
constexpr uint64_t kFreshMs = 15'000;         // a round that ended so lately needs no other before
constexpr uint64_t kReadyPauseMs = 15'000;    // between rounds, at least
// Parts of the prediction that are not measured.
constexpr uint64_t kShutdownGuessMs = 10'000, kStartGuessMs = 3'000;
constexpr uint32_t kFirstCopies = 3;

}  // namespace

FailbackTurn::FailbackTurn(const Links& links, FailbackRows& rows, const Row& row)
    : links_(links), rows_(rows), row_(row), boot_(boot::BootId::from_hex(row.boot)),
      step_began_ms_(links.clock.steady_ms()) {}

FailbackTurn::~FailbackTurn() {
  drop(order_);
  if (job_ && !catalog::is_over(row_.step)) {
    job_->fail(Error(
        ErrorCode::unavailable,
        fmt::format("the appliance was stopped; failback {} goes on when it is back", row_.id)));
  }
}

bool FailbackTurn::take(bool may_switch) {
  try {
    row_ = rows_.get(row_.id, access::TenantScope::all());
    if (catalog::is_over(row_.step)) return false;
    ensure_job();
    bool is_asked = job_->context().stop().stop_requested() && row_.step < Step::ending;
    if (row_.wants_cancel || is_asked) {
      drop(order_);
      settle_here();
      handover().release(boot_, row_.id);
      end(Step::cancelled,
          Error(ErrorCode::cancelled,
                "it was cancelled; the machine runs on here, and home holds a part "
                "of its disks"));
      return false;
    }
    if (links_.clock.steady_ms() >= not_before_ms_)
      step(may_switch || catalog::is_switching(row_.step));
    show();
  } catch (const std::exception& error) {
    try {
      fail_for_now(error.what());
    } catch (const std::exception& again) {
      base::log().error("failback {}: {}", row_.id, again.what());
    }
  }
  return catalog::is_switching(row_.step);
}

void FailbackTurn::step(bool may_switch) {
  switch (row_.step) {
    case Step::surveying: return survey();
    case Step::copying: return copy_first();
    case Step::following:
    case Step::ready: return follow(may_switch);
    case Step::ending: return end_here();
    case Step::last: return take_last();
    case Step::handing: return hand_over();
    case Step::starting: return start_there();
    case Step::kept: return keep_here();
    case Step::done:
    case Step::cancelled:
    case Step::failed: return;
  }
}

// ---- while the VM works on

void FailbackTurn::survey() {
  if (row_.is_paused) return drop(order_);
  boot::HandoverView view = handover().look(boot_);
  // A folder has nothing yet that could be compared.
  bool compares = row_.plan.is_in_place;
  if (compares) {
    std::optional<Job> job = order(HomeStep::survey, view.vm.point);
    if (!job) return;
    if (job->state != JobState::succeeded) {
      handover().release(boot_, row_.id);
      return end(Step::failed, Error(job->error_code.value_or(ErrorCode::io), job->error_message));
    }
    change([&](Row& row) { row.differing = figure_of(*job, "differing"); });
  }
  go(Step::copying, compares ? fmt::format("{} of what home has differ from the point that the VM "
                                           "was booted from",
                                           base::format_size(row_.differing))
                             : "home gets the point that the VM was booted from");
}

void FailbackTurn::copy_first() {
  if (row_.is_paused) return drop(order_);
  images::PointId point = handover().look(boot_).vm.point;
  std::optional<Job> job = order(HomeStep::copy, point);
  if (!job) return;
  if (job->state != JobState::succeeded) {
    bool may_try = ++failures_ < kFirstCopies || job->error_code == ErrorCode::unavailable;
    if (may_try) return fail_for_now(job->error_message);
    handover().release(boot_, row_.id);
    return end(Step::failed, Error(job->error_code.value_or(ErrorCode::io), job->error_message));
  }
  failures_ = 0;
  change([&](Row& row) {
    row.point = point;
    row.problem.clear();
  });
  go(Step::following, fmt::format("home has the point {}; {} were written", point.hex(),
                                  base::format_size(figure_of(*job, "written"))));
}

void FailbackTurn::settle_here() {
  boot::HandoverView view = handover().look(boot_);
  if (view.holder != Holder::here) handover().take_back(boot_, row_.id, row_.voided);
}

void FailbackTurn::follow(bool may_switch) {
  settle_here();
  if (row_.is_paused) {
    drop(order_);
    fresh_.reset();
    return;
  }
  links_.restores.hurry(row_.host);
  uint64_t now = links_.clock.wall_ms();
  if (!order_ && handover().look(boot_).domain == boot::DomainState::off)
    return follow_ended(may_switch);
  bool runs = order_ || sync_ || fresh_;
  if (runs) return take_round();
  bool is_due = base::has_passed(row_.last_round_ms, kReadyPauseMs, now);
  if (row_.step == Step::ready && wants_switch(may_switch)) {
    if (!base::has_passed(row_.last_round_ms, kFreshMs, now)) {
      change([&](Row& row) {
        row.pause_begun_ms = now;
        row.pause_ms = 0;
      });
      asked_ms_ = 0;
      return go(Step::ending, row_.plan.end == catalog::FailbackEnd::shutdown
                                  ? "the switch begins: the guest is asked to shut down"
                                  : "the switch begins: the VM is switched off");
    }
    is_due = true;
  }
  if (row_.step == Step::following || is_due) take_round();
}

// Its guest has shut down, or it is about to be restarted: there is nothing to follow.
void FailbackTurn::follow_ended(bool may_switch) {
  if (row_.wants_switch && may_switch) {
    change([&](Row& row) { row.pause_begun_ms = links_.clock.wall_ms(); });
    return go(Step::ending, "the switch begins: the VM is off already");
  }
  if (!row_.problem.empty()) return;
  change([&](Row& row) {
    row.problem = fmt::format(
        "the VM is off. Power it on (muletto boot power {} power-on), or let "
        "the machine go home as it is: muletto failback finish {}",
        row.boot, row.id);
  });
}

bool FailbackTurn::wants_switch(bool may_switch) {
  bool is_time = row_.plan.at_ms && links_.clock.wall_ms() >= *row_.plan.at_ms;
  if (!row_.wants_switch && !is_time) return false;
  uint64_t predicted = predicted_ms();
  if (row_.plan.limit_ms != 0 && predicted > row_.plan.limit_ms) {
    std::string sentence = fmt::format(
        "the switch would take {} and may take {}: it does not begin; it is looked at again after "
        "each round",
        base::format_duration_ms(predicted), base::format_duration_ms(row_.plan.limit_ms));
    if (row_.problem != sentence) say(sentence);
    change([&](Row& row) {
      row.problem = sentence;
      row.predicted_ms = predicted;
    });
    return false;
  }
  return may_switch;  // otherwise another machine is between here and home
}

uint64_t FailbackTurn::predicted_ms() const {
  uint64_t shutdown = row_.plan.end == catalog::FailbackEnd::shutdown ? kShutdownGuessMs : 500;
  return shutdown + row_.last_sync_ms + row_.last_copy_ms + kStartGuessMs;
}

// A sync of the running VM, and what it differs in goes home.
void FailbackTurn::take_round() {
  if (!fresh_) {
    std::optional<Job> job = sync();
    if (!job) return;
    if (job->state != JobState::succeeded) return fail_for_now(job->error_message);
    fresh_ = newest_point();
  }
  uint64_t begun = order_ ? order_->begun_ms : links_.clock.steady_ms();
  std::optional<Job> job = order(HomeStep::copy, *fresh_);
  if (!job) return;
  if (job->state != JobState::succeeded) return fail_for_now(job->error_message);
  uint64_t written = figure_of(*job, "written"), before = row_.last_written;
  bool shrinks = row_.rounds == 0 || written < before - before / 4;
  change([&](Row& row) {
    row.point = fresh_;
    ++row.rounds;
    row.last_written = written;
    row.last_sync_ms = sync_ms_;
    row.last_copy_ms = links_.clock.steady_ms() - begun;
    row.last_round_ms = links_.clock.wall_ms();
    row.problem.clear();
  });
  change([&](Row& row) { row.predicted_ms = predicted_ms(); });
  fresh_.reset();
  failures_ = 0;
  bool is_small = written <= kSmallRest || !shrinks;
  if (row_.step == Step::following && is_small) {
    go(Step::ready,
       fmt::format("home follows: the last round wrote {}; the switch would take about "
                   "{}",
                   base::format_size(written), base::format_duration_ms(row_.predicted_ms)));
  }
}

// ---- work of others

std::optional<Job> FailbackTurn::outcome(std::optional<Work>& work) {
  Job job = links_.jobs.job(work->job);
  if (!catalog::is_over(job.state)) return std::nullopt;
  work.reset();
  return job;
}

std::optional<Job> FailbackTurn::order(HomeStep step, const images::PointId& point) {
  if (!order_) {
    homeward::HostRestore restore = home_order(row_, step, point);
    jobs::JobId id = links_.restores.order(restore, access::Requester(row_.requested_by));
    order_ = Work{id, links_.clock.steady_ms()};
  }
  return outcome(order_);
}

std::optional<Job> FailbackTurn::sync() {
  if (!sync_) {
    try {
      jobs::JobId id =
          links_.scheduler.request(row_.tenant, row_.machine, access::Requester(row_.requested_by));
      sync_ = Work{id, links_.clock.steady_ms()};
    } catch (const Error& error) {
      // One of its schedule runs, or the VM was opened for reading just now.
      bool is_temporary = error.code() == ErrorCode::busy || error.code() == ErrorCode::unavailable;
      if (!is_temporary) throw;
      return std::nullopt;
    }
  }
  uint64_t begun = sync_->begun_ms;
  std::optional<Job> job = outcome(sync_);
  if (job) sync_ms_ = links_.clock.steady_ms() - begun;
  return job;
}

void FailbackTurn::drop(std::optional<Work>& work) {
  if (!work) return;
  try {
    links_.jobs.cancel(work->job);
  } catch (const Error& error) {
    base::log().debug("failback {}: {}", row_.id, error.message());  // it has just ended
  }
  work.reset();
}

void FailbackTurn::fail_for_now(const std::string& why) {
  ++failures_;
  uint64_t pause = std::min(kLongestPauseMs, kFirstPauseMs << std::min(failures_ - 1, 5u));
  if (catalog::is_switching(row_.step)) pause = std::min<uint64_t>(pause, kFirstPauseMs);
  not_before_ms_ = links_.clock.steady_ms() + pause;
  if (row_.problem == why) return;
  change([&](Row& row) { row.problem = why; });
  say(why);
}

images::PointId FailbackTurn::newest_point() const {
  auto latest = links_.catalog.machine(row_.tenant, row_.machine).latest_point;
  if (!latest) throw Error(ErrorCode::not_found, "the machine has no point");
  return *latest;
}

// ---- what is recorded and told

void FailbackTurn::go(Step step, const std::string& sentence) {
  change([&](Row& row) {
    row.step = step;
    row.step_ms = links_.clock.wall_ms();
  });
  step_began_ms_ = links_.clock.steady_ms();
  failures_ = 0;
  not_before_ms_ = 0;
  say(fmt::format("{}: {}", catalog::failback_step_name(step), sentence));
}

void FailbackTurn::end(Step step, const std::optional<Error>& error) {
  change([&](Row& row) {
    row.step = step;
    row.step_ms = links_.clock.wall_ms();
    row.ended_ms = row.step_ms;
    if (error) row.problem = error->message();
  });
  say(fmt::format("{}{}", catalog::failback_step_name(step),
                  error ? ": " + error->message() : std::string()));
  if (error) job_->fail(*error);
  else job_->succeed();
  job_.reset();
}

void FailbackTurn::say(const std::string& sentence) {
  base::log().info("failback {} of {}: {}", row_.id, row_.machine, sentence);
  if (job_) job_->context().log(sentence);
}

void FailbackTurn::ensure_job() {
  if (job_) return;
  job_ = links_.jobs.attach(
      {"failback", row_.tenant, row_.machine, access::Requester(row_.requested_by)});
  bool goes_on = row_.job != 0;
  change([&](Row& row) { row.job = job_->id().number; });
  if (goes_on)
    say(fmt::format("the appliance was restarted; {} again",
                    catalog::failback_step_name(row_.step)));
}

void FailbackTurn::show() {
  if (!job_) return;
  catalog::JobProgress progress{0, 0, std::string(catalog::failback_step_name(row_.step))};
  if (order_) {
    catalog::JobProgress now = links_.jobs.job(order_->job).progress;
    progress.done = now.done;
    progress.total = now.total;
    progress.phase += ": " + now.phase;
  }
  if (row_.is_paused) progress.phase = "paused";
  job_->context().set_progress(progress);
  nlohmann::json figures{{"failback", row_.id},
                         {"rounds", row_.rounds},
                         {"last_written", row_.last_written},
                         {"predicted_ms", row_.predicted_ms},
                         {"pause_ms", row_.pause_ms}};
  job_->context().set_figures(base::dump_text(figures));
}

}  // namespace appliance::failback
