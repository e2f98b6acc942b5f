// Two small files by which a sync and the process that started it communicate: the rate the sync may
// use, and its progress. Written as a whole, read as a whole; an incomplete one is read again later.
// Failures are ignored: no data depends on them. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace agent::orders {

struct SyncPosition {
  uint64_t done = 0;   // bytes
  uint64_t total = 0;  // bytes; 0: not known yet
};

void write_position_file(const std::string& path, const SyncPosition& position);
std::optional<SyncPosition> read_position_file(const std::string& path);

// Bytes per second; 0: no limit.
void write_rate_file(const std::string& path, uint64_t rate);
std::optional<uint64_t> read_rate_file(const std::string& path);

}  // namespace agent::orders
