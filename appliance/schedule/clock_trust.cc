#include "appliance/schedule/clock_trust.h"

#include <fmt/format.h>
#include <sys/timex.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

constexpr const char* kAdvice =
    "nothing is deleted by age until it is right again; if it is right, confirm "
    "it: muletto clock accept";

bool kernel_is_synchronized() {
  timex state{};
  return ::adjtimex(&state) != -1 && (state.status & STA_UNSYNC) == 0;
}

// What the clock must show now, if the mark is from this boot.
uint64_t expected_ms(const catalog::ClockMark& mark, uint64_t steady_ms) {
  return mark.wall_ms + (steady_ms - mark.steady_ms);
}

}  // namespace

ClockSources system_clock_sources() {
  return {&base::system_clock(), base::machine_boot_id(), kernel_is_synchronized};
}

ClockTrust::ClockTrust(catalog::ApplianceRecords& catalog, ClockSources sources)
    : catalog_(catalog), sources_(std::move(sources)) {
  state_.lock()->mark = catalog_.find_clock_mark();
}

std::string ClockTrust::problem_of(const catalog::ClockMark& mark, uint64_t wall_ms,
                                   uint64_t steady_ms) const {
  if (mark.boot == sources_.boot) {
    uint64_t expected = expected_ms(mark, steady_ms);
    bool ahead = wall_ms > expected;
    uint64_t off = ahead ? wall_ms - expected : expected - wall_ms;
    if (off <= kJumpMs) return "";
    return fmt::format(
        "the appliance's clock jumped: it shows {}, and by the time that passed it "
        "should show {}, so it is {} {}; {}",
        base::format_time_ms(wall_ms), base::format_time_ms(expected),
        base::format_duration_ms(off), ahead ? "ahead" : "behind", kAdvice);
  }
  if (wall_ms + kJumpMs < mark.wall_ms) {
    return fmt::format(
        "the appliance's clock shows {}, and before the machine was restarted it "
        "already showed {}; {}",
        base::format_time_ms(wall_ms), base::format_time_ms(mark.wall_ms), kAdvice);
  }
  if (wall_ms > mark.wall_ms + kLongestOffMs) {
    return fmt::format(
        "the appliance's clock shows {}, {} after what it last showed before the "
        "machine was restarted; {}",
        base::format_time_ms(wall_ms), base::format_duration_ms(wall_ms - mark.wall_ms), kAdvice);
  }
  // It jumped before the machine was restarted, and it is unknown whether it came back.
  if (mark.doubted_in.empty() || mark.doubted_in == sources_.boot) return "";
  return fmt::format(
      "the appliance's clock had jumped before the machine was restarted, and "
      "shows {} now; {}",
      base::format_time_ms(wall_ms), kAdvice);
}

void ClockTrust::mark_now(State& state, uint64_t wall_ms, uint64_t steady_ms) {
  catalog::ClockMark mark{sources_.boot, steady_ms, wall_ms, ""};
  catalog_.save_clock_mark(mark);
  state.mark = mark;
  state.synchronized_since_ms.reset();
}

ClockStanding ClockTrust::look(State& state) {
  const uint64_t wall = sources_.clock->wall_ms(), steady = sources_.clock->steady_ms();
  if (!state.mark) mark_now(state, wall, steady);
  const bool synchronized = sources_.is_synchronized && sources_.is_synchronized();
  std::string problem = problem_of(*state.mark, wall, steady);
  if (!problem.empty()) {
    if (state.mark->doubted_in.empty()) {
      base::log().error("{}", problem);
      state.mark->doubted_in = sources_.boot;
      catalog_.save_clock_mark(*state.mark);
    }
    if (!synchronized) state.synchronized_since_ms.reset();
    else if (!state.synchronized_since_ms) state.synchronized_since_ms = steady;
    bool proved =
        state.synchronized_since_ms && steady - *state.synchronized_since_ms >= kSynchronizedMs;
    if (!proved) {
      bool here = state.mark->boot == sources_.boot;
      uint64_t trusted = here ? expected_ms(*state.mark, steady) : state.mark->wall_ms;
      return {false, wall, trusted, synchronized, problem};
    }
    base::log().warn("the clock is trusted again: it has been synchronized for a day");
    mark_now(state, wall, steady);
  }
  bool is_stale = state.mark->boot != sources_.boot || !state.mark->doubted_in.empty() ||
                  steady - state.mark->steady_ms >= kMarkEveryMs;
  if (is_stale) mark_now(state, wall, steady);
  return {true, wall, wall, synchronized, ""};
}

ClockStanding ClockTrust::look() {
  auto state = state_.lock();
  return look(*state);
}

ClockStanding ClockTrust::accept() {
  auto state = state_.lock();
  mark_now(*state, sources_.clock->wall_ms(), sources_.clock->steady_ms());
  return look(*state);
}

}  // namespace appliance::schedule
