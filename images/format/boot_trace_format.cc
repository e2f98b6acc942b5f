#include "images/format/boot_trace_format.h"

#include <array>
#include <bit>

#include "base/crypto.h"
#include "base/error.h"
#include "images/point.h"

namespace images::format {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::array<uint8_t, 8> kMagic = {'M', 'U', 'L', 'T', 'R', 'A', 'C', 'E'};
constexpr uint16_t kVersion = 1;
constexpr uint16_t kFlagGuestWasUp = 1;
constexpr uint32_t kMinChunkSize = 4096;
constexpr uint32_t kMaxChunkSize = 1 << 20;
constexpr uint32_t kMaxDiskName = 255;
constexpr size_t kEntrySize = 16;
constexpr size_t kChecksumSize = 8;

}  // namespace

base::Bytes encode_trace(const BootTrace& trace) {
  base::ByteWriter out;
  out.view(kMagic);
  out.u16(kVersion);
  out.u16(trace.guest_was_up ? kFlagGuestWasUp : 0);
  out.u32(trace.chunk_size);
  out.u32(static_cast<uint32_t>(trace.disks.size()));
  out.u32(static_cast<uint32_t>(trace.entries.size()));
  out.u64(trace.recorded_ms);
  for (const std::string& disk : trace.disks) out.string(disk);
  for (const TraceEntry& entry : trace.entries) {
    out.u64(entry.chunk);
    out.u32(entry.time_ms);
    out.u16(entry.disk);
    out.u16(0);
  }
  out.u64(base::checksum64(out.bytes()));
  return out.take();
}

BootTrace decode_trace(base::ByteView bytes) {
  base::ByteReader in(bytes, "boot trace");
  if (bytes.size() > kMaxTraceSize) in.fail("it is too large");
  if (in.array<8>() != kMagic) in.fail("it is none");
  if (in.u16() != kVersion) throw Error(ErrorCode::unsupported, "boot trace: a newer version");
  if (bytes.size() < kChecksumSize ||
      base::checksum64(bytes.first(bytes.size() - kChecksumSize)) !=
          base::load_u64(bytes.data() + bytes.size() - kChecksumSize))
    in.fail("its checksum is wrong");
  BootTrace trace;
  trace.guest_was_up = (in.u16() & kFlagGuestWasUp) != 0;
  trace.chunk_size = in.u32();
  if (trace.chunk_size < kMinChunkSize || trace.chunk_size > kMaxChunkSize ||
      !std::has_single_bit(trace.chunk_size))
    in.fail("its chunk size is impossible");
  uint32_t disk_count = in.u32(), entry_count = in.u32();
  if (disk_count > BootTrace::kMaxDisks || entry_count > BootTrace::kMaxEntries)
    in.fail("it is longer than possible");
  trace.recorded_ms = in.u64();
  for (uint32_t i = 0; i < disk_count; ++i) trace.disks.push_back(in.string(kMaxDiskName));
  if (in.remaining() != entry_count * kEntrySize + kChecksumSize) in.fail("its length is wrong");
  trace.entries.reserve(entry_count);
  for (uint32_t i = 0; i < entry_count; ++i) {
    TraceEntry entry;
    entry.chunk = in.u64();
    entry.time_ms = in.u32();
    entry.disk = in.u16();
    in.u16();
    if (entry.disk >= disk_count || entry.chunk >= kMaxDiskSize / trace.chunk_size)
      in.fail("an entry is outside of every disk");
    trace.entries.push_back(entry);
  }
  return trace;
}

}  // namespace images::format
