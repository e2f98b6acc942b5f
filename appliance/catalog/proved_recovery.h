// How fast a machine comes up, as proved by its passed test boots. Pure functions on values.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "appliance/catalog/verification_records.h"

namespace appliance::catalog {

enum class Trend {
  unknown,  // fewer than kTrendFrom passes
  steady,   // within kTrendPercent of the earlier ones
  slower,
  faster,
};

struct ProvedRecovery {
  uint32_t count = 0;      // number of the newest passes used
  uint64_t last_ms = 0;    // of the newest
  uint64_t median_ms = 0;  // of all
  uint64_t recent_ms = 0;  // the median of the newest three: what a target is compared with
  // Unless the trend is unknown: the median of those before the newest three, and how many percent
  // longer the newest three took (negative: shorter).
  uint64_t earlier_ms = 0;
  int64_t change_percent = 0;
  Trend trend = Trend::unknown;
};

constexpr uint32_t kRecoveryFrom = 20;  // passes that are examined
constexpr size_t kRecent = 3;
constexpr size_t kTrendFrom = 6;
// Test boots run beside other work: smaller differences are noise.
constexpr int64_t kTrendPercent = 20;

// `newest_first`: at most kRecoveryFrom.
ProvedRecovery proved_recovery(const std::vector<RecoveryTime>& newest_first);

std::string_view trend_name(Trend trend);  // "unknown", "steady", "slower", "faster"

}  // namespace appliance::catalog
