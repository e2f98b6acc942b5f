#include "appliance/jobs/lanes.h"

#include <array>
#include <utility>

namespace appliance::jobs {
namespace {

// In the order of Lane.
constexpr std::array<LaneTraits, kLaneCount> kTraits{{
    {"boots", 32},
    {"stops", 64},
    {"groups", 16},
    {"deletions", 2},
    {"retention", 1},
    {"checks", 2},
    {"compactions", 2},
    {"others", 8},
    {"waits and pulls", 4},
}};

constexpr std::array<std::pair<std::string_view, Lane>, 7> kKinds{{
    {"boot", Lane::boots},
    {"stop", Lane::stops},
    {"delete", Lane::deletions},
    {"forget", Lane::deletions},
    {"retention", Lane::retention},
    {"check", Lane::checks},
    {"compact", Lane::compactions},
}};

}  // namespace

const LaneTraits& traits_of(Lane lane) { return kTraits[static_cast<size_t>(lane)]; }

Lane lane_of(std::string_view kind) {
  for (const auto& [name, lane] : kKinds) {
    if (name == kind) return lane;
  }
  return Lane::others;
}

}  // namespace appliance::jobs
