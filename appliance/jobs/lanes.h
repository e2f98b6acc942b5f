// Which jobs wait for which: jobs of one lane share its threads, and those of different lanes never
// wait for each other. So no boot or stop waits for a check, a deletion or another job's wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace appliance::jobs {

enum class Lane : uint8_t {
  boots,        // one start each
  stops,        // one stop each, which may wait for the guest's own shutdown
  groups,       // starts that are part of starting several VMs
  deletions,    // of single points, on request
  retention,    // deletions by policy
  checks,       // of stores
  compactions,  // of stores
  others,       // every kind without a lane of its own
  steps,        // waits, pulls, starts of several: they hold no thread while they wait
};
constexpr size_t kLaneCount = 9;

struct LaneTraits {
  std::string_view name;  // "deletions"
  uint32_t thread_count;  // maximum; for `steps`, the threads that serve all of them
};

const LaneTraits& traits_of(Lane lane);

// By JobSpec::kind.
Lane lane_of(std::string_view kind);

}  // namespace appliance::jobs
