#include "appliance/schedule/duties.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/internal_errors.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::schedule {

void DutyRunner::add(Duty duty) {
  entries_.emplace_back();
  entries_.back().duty = std::move(duty);
}

void DutyRunner::start() {
  for (Entry& entry : entries_) {
    threads_.emplace_back("duty " + entry.duty.name, base::AfterFailure::begin_again,
                          [&entry](const std::stop_token& stop) {
                            while (base::sleep_unless_stopped(stop, entry.duty.every))
                              run_round(entry);
                          });
  }
}

void DutyRunner::stop() {
  for (base::GuardedThread& thread : threads_) thread.request_stop();
  threads_.clear();
}

// The outer boundary of one round. A repeated failure is logged once.
void DutyRunner::run_round(Entry& entry) {
  {
    auto standing = entry.standing.lock();
    standing->round_began = Clock::now();
    standing->round_began_ms = base::now_ms();
  }
  std::string error;
  bool failed = false;
  try {
    entry.duty.round();
  } catch (const base::Error& expected) {
    failed = true;
    error = expected.message();
  } catch (...) {
    failed = true;
    error = base::describe_exception(std::current_exception());
    base::report_internal_error("the duty " + entry.duty.name, error);
  }
  auto standing = entry.standing.lock();
  standing->round_began.reset();
  if (!failed) {
    if (standing->failing_since) base::log().info("the duty {} works again", entry.duty.name);
    standing->failing_since.reset();
    standing->error.clear();
    return;
  }
  if (standing->error != error)
    base::log().error("the duty {} fails, {}: {}", entry.duty.name, entry.duty.what, error);
  standing->error = error;
  if (standing->failing_since) return;
  standing->failing_since = Clock::now();
  standing->failing_since_ms = base::now_ms();
}

void DutyRunner::require_done(const std::string& name) {
  for (const DutyFailure& each : failures()) {
    if (each.name == name) throw base::Error(base::ErrorCode::unavailable, each.error);
  }
}

std::vector<DutyFailure> DutyRunner::failures() {
  std::vector<DutyFailure> failures;
  auto now = Clock::now();
  auto since = [&](Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - begin);
  };
  for (Entry& entry : entries_) {
    auto standing = entry.standing.lock();
    DutyFailure failure{.name = entry.duty.name, .what = entry.duty.what};
    if (standing->round_began && now - *standing->round_began > entry.duty.patience) {
      failure.since_ms = standing->round_began_ms;
      failure.lasts = since(*standing->round_began);
      failure.error =
          fmt::format("its round has not finished for {}",
                      base::format_duration_ms(static_cast<uint64_t>(failure.lasts.count())));
      failures.push_back(std::move(failure));
    } else if (standing->failing_since) {
      failure.since_ms = standing->failing_since_ms;
      failure.lasts = since(*standing->failing_since);
      failure.error = standing->error;
      failures.push_back(std::move(failure));
    }
  }
  return failures;
}

}  // namespace appliance::schedule
