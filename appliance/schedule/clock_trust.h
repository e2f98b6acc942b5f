// Whether the appliance's own wall clock can be trusted. It decides how old points are, so while it
// cannot be trusted, nothing is deleted by age; syncs, boots, orders and alerts continue.
//
// A mark in the catalog records what the clock showed when it was last trusted, in which boot of
// the machine and at which steady time. Within that boot the steady clock determines what the wall
// clock must show now: a difference of more than kJumpMs is a jump. In a later boot it is unknown
// how long the machine was off: the clock may not be earlier than the mark (minus kJumpMs), nor
// more than kLongestOffMs later. A clock that returns to what it must show is trusted again
// automatically; so is one that the kernel calls synchronized (NTP) for kSynchronizedMs without
// interruption, and one that an operator accepts. Marks are renewed every kMarkEveryMs while the
// clock is trusted.
//
// Thread-safe; a lock is held during the catalog's short write of a mark.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "appliance/catalog/appliance_records.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::schedule {

constexpr uint64_t kJumpMs = 10 * 60'000;
constexpr uint64_t kLongestOffMs = 30ull * 24 * 3'600'000;
constexpr uint64_t kSynchronizedMs = 24ull * 3'600'000;
constexpr uint64_t kMarkEveryMs = 3'600'000;

struct ClockStanding {
  bool trusted = true;
  uint64_t now_ms = 0;        // what the clock shows
  uint64_t trusted_ms = 0;    // what it must show, or in a later boot: what it last showed
  bool synchronized = false;  // according to the kernel
  std::string problem;        // a sentence; empty while it is trusted
};

struct ClockSources {
  const base::Clock* clock = &base::system_clock();
  std::string boot;                       // identifies this boot of the machine
  std::function<bool()> is_synchronized;  // called each time
};
// The machine's own clocks.
ClockSources system_clock_sources();

class ClockTrust {
 public:
  // The catalog must outlive this object.
  explicit ClockTrust(catalog::ApplianceRecords& catalog,
                      ClockSources sources = system_clock_sources());

  // Examines the clock now. Throws what the catalog throws.
  ClockStanding look();
  // An operator confirms that the clock is right.
  ClockStanding accept();

 private:
  struct State {
    std::optional<catalog::ClockMark> mark;
    std::optional<uint64_t> synchronized_since_ms;  // steady, while the clock is doubted
  };

  void mark_now(State& state, uint64_t wall_ms, uint64_t steady_ms);
  // By how much the clock is off, and a sentence; nothing if it may be right.
  std::string problem_of(const catalog::ClockMark& mark, uint64_t wall_ms,
                         uint64_t steady_ms) const;
  ClockStanding look(State& state);

  catalog::ApplianceRecords& catalog_;
  const ClockSources sources_;
  base::Guarded<State> state_;
};

}  // namespace appliance::schedule
