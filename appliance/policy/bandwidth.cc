#include "appliance/policy/bandwidth.h"

#include "base/error.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

constexpr uint64_t kMinRate = 1024;  // bytes per second; less is surely a mistake

}  // namespace

Bandwidth parse_bandwidth(std::string_view text) {
  Bandwidth bandwidth;
  if (base::trim(text).empty()) return bandwidth;
  for (const std::string& part : base::split(text, ',')) {
    std::vector<std::string> words = words_of(part);
    if (words.empty()) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        "an entry of the bandwidth is empty; write it like '20M mon-fri 8-18, "
                        "100M'");
    }
    BandwidthEntry entry;
    if (words.front() != "unlimited") {
      entry.rate = base::parse_size(words.front());
      if (entry.rate < kMinRate) {
        throw base::Error(base::ErrorCode::invalid_argument,
                          "a bandwidth below 1K per second lets no sync through");
      }
    }
    entry.window = parse_window({words.begin() + 1, words.end()});
    bandwidth.push_back(entry);
  }
  return bandwidth;
}

std::optional<uint64_t> rate_at(const Bandwidth& bandwidth, int64_t local_ms) {
  for (const BandwidthEntry& entry : bandwidth) {
    if (!entry.window.contains(local_ms)) continue;
    return entry.rate == 0 ? std::nullopt : std::optional(entry.rate);
  }
  return std::nullopt;
}

}  // namespace appliance::policy
