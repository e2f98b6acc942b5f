// How many bytes per second a host's syncs may use together, by the time of the week: "20M mon-fri
// 8-18, 100M". The first entry whose window matches applies; none: no limit. Pure. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "appliance/policy/window.h"

namespace appliance::policy {

struct BandwidthEntry {
  uint64_t rate = 0;  // bytes per second; 0: no limit
  Window window;
};
using Bandwidth = std::vector<BandwidthEntry>;

// "RATE [DAYS] [HOURS], …"; RATE is a size such as 20M, or "unlimited". An empty text has no limit.
// Throws invalid_argument.
Bandwidth parse_bandwidth(std::string_view text);

// Bytes per second at that local time; nullopt: no limit.
std::optional<uint64_t> rate_at(const Bandwidth& bandwidth, int64_t local_ms);

}  // namespace appliance::policy
