// The two clocks of a machine, as one object that tests can replace. Thread-safe.
//
// Wall time says when something happened, for people and for what has to survive a restart; it may
// be wrong and may jump either way at any moment. Steady time says how long something took or how
// long ago it was: it never goes back and nobody can set it, but it has no meaning in another boot
// of the machine. Measure intervals with steady time. Judge a stored wall time with has_passed(),
// so that no timestamp of a wrong clock delays anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970 in UTC.
  virtual uint64_t wall_ms() const = 0;
  // Milliseconds since the machine booted, including time in suspend (CLOCK_BOOTTIME).
  virtual uint64_t steady_ms() const = 0;
};

// The machine's own clock. Lives as long as the program.
const Clock& system_clock();

// system_clock().steady_ms()
uint64_t steady_ms();

// A string that differs from one boot of the machine to the next. Throws io or corrupt if the
// kernel does not provide it; never returns an empty one.
std::string machine_boot_id();

// Whether `interval_ms` has passed since the stored wall time `since_ms`. A time in the future was
// written by a wrong clock, and counts as long past. Never overflows.
bool has_passed(uint64_t since_ms, uint64_t interval_ms, uint64_t now_ms);

// A clock that stands still until it is advanced.
class ManualClock : public Clock {
 public:
  explicit ManualClock(uint64_t wall_ms = 1'800'000'000'000, uint64_t steady_ms = 1'000'000)
      : wall_ms_(wall_ms), steady_ms_(steady_ms) {}
  uint64_t wall_ms() const override { return wall_ms_; }
  uint64_t steady_ms() const override { return steady_ms_; }

  // Time passes: both clocks advance.
  void pass(uint64_t duration_ms) {
    wall_ms_ += duration_ms;
    steady_ms_ += duration_ms;
  }
  // Someone sets the wall clock.
  void set_wall(uint64_t wall_ms) { wall_ms_ = wall_ms; }

 private:
  std::atomic<uint64_t> wall_ms_, steady_ms_;
};

}  // namespace base
