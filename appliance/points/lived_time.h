// Time that nobody can turn: for how long this appliance has run, over all its starts. It is counted by
// the steady clock while the daemon runs, and kept in the catalog. Locks of points (tenant_locks.h)
// count by it.
//
// To tell how old a point is by this time, samples are kept: what the wall clock showed at which lived
// time, once an hour, and before and after each jump of the wall clock. A point that was received when
// the wall clock showed T was received at the latest place where the clock may have shown T. Where this is not
// known (T is beyond all samples, or the samples of that time were thinned out), the point counts as
// younger than it is. What passes while the daemon does not run does not count. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "appliance/catalog/appliance_records.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::points {

class LivedTime {
 public:
  // Both outlive it. Throws what reading the catalog throws, and corrupt.
  explicit LivedTime(catalog::ApplianceRecords& records,
                     const base::Clock& clock = base::system_clock());

  // To be called every few seconds; writes once an hour, and when the wall clock jumps. Throws what the
  // catalog throws.
  void tick();
  uint64_t now_ms();
  // How much lived time has passed since the wall clock showed `wall_ms`, at least.
  uint64_t age_ms(uint64_t wall_ms);

  static constexpr size_t kMaxSamples = 4000;  // then every second one of the older half goes

 private:
  struct Sample {
    uint64_t lived_ms = 0, wall_ms = 0;
  };
  struct State {
    std::vector<Sample> samples;  // lived time ascends
    uint64_t base_ms = 0;         // lived when this process began
    uint64_t began_ms = 0;        // steady
    std::optional<Sample> seen;   // at the last tick
  };
  uint64_t now_ms(const State& state) const;
  void add(State& state, const Sample& sample);
  void save(State& state);

  catalog::ApplianceRecords& records_;
  const base::Clock& clock_;
  base::Guarded<State> state_;
};

}  // namespace appliance::points
