// The bytes of a boot trace (docs/format.md): which places of a point's disks a boot read, in the
// order of first access. Places, not contents, so that a trace of one point is useful for every
// other point of the machine. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images {

struct TraceEntry {
  uint16_t disk = 0;     // index into BootTrace::disks
  uint64_t chunk = 0;    // number of the chunk on its disk
  uint32_t time_ms = 0;  // since the first read

  bool operator==(const TraceEntry&) const = default;
};

struct BootTrace {
  static constexpr uint32_t kMaxDisks = 64;
  static constexpr uint32_t kMaxEntries = 16'384;  // 1 GiB with chunks of 64 KiB

  uint32_t chunk_size = 0;    // bytes
  bool guest_was_up = false;  // recording ended because the guest was known to be up
  uint64_t recorded_ms = 0;   // UTC, when recording ended
  std::vector<std::string> disks;
  std::vector<TraceEntry> entries;

  bool operator==(const BootTrace&) const = default;
};

namespace format {

constexpr uint64_t kMaxTraceSize = 1 << 20;  // bytes

base::Bytes encode_trace(const BootTrace& trace);
// Throws corrupt unless `bytes` are exactly one trace within its limits, unsupported for a newer
// one. Chunks may still be beyond the end of a disk, or disks be unknown: the user of the trace
// must skip those.
BootTrace decode_trace(base::ByteView bytes);

}  // namespace format
}  // namespace images
