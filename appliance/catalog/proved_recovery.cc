#include "appliance/catalog/proved_recovery.h"

#include <algorithm>
#include <cstdlib>

#include "base/enum_names.h"

namespace appliance::catalog {
namespace {

constexpr auto kTrends = base::enum_names<Trend>("a trend", {{Trend::unknown, "unknown"},
                                                             {Trend::steady, "steady"},
                                                             {Trend::slower, "slower"},
                                                             {Trend::faster, "faster"}});

// Of two in the middle, the longer one.
uint64_t median(std::vector<uint64_t> times) {
  auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

ProvedRecovery proved_recovery(const std::vector<RecoveryTime>& newest_first) {
  ProvedRecovery proved;
  if (newest_first.empty()) return proved;
  std::vector<uint64_t> times;
  for (const RecoveryTime& each : newest_first) times.push_back(each.recovery_ms);
  proved.count = static_cast<uint32_t>(times.size());
  proved.last_ms = times.front();
  proved.median_ms = median(times);
  auto border = times.begin() + static_cast<ptrdiff_t>(std::min(kRecent, times.size()));
  proved.recent_ms = median({times.begin(), border});
  if (times.size() < kTrendFrom) return proved;
  proved.earlier_ms = median({border, times.end()});
  auto recent = static_cast<int64_t>(proved.recent_ms);
  auto earlier = std::max<int64_t>(static_cast<int64_t>(proved.earlier_ms), 1);
  proved.change_percent = (recent - earlier) * 100 / earlier;
  if (std::abs(proved.change_percent) < kTrendPercent) proved.trend = Trend::steady;
  else proved.trend = proved.change_percent > 0 ? Trend::slower : Trend::faster;
  return proved;
}

std::string_view trend_name(Trend trend) { return kTrends.name(trend); }

}  // namespace appliance::catalog
