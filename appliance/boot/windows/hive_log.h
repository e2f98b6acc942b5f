// The changes of a registry hive that are only in its transaction logs, as of a Windows that was
// running: Windows writes them into SYSTEM.LOG1 and SYSTEM.LOG2 first and into the hive later.
// Replaying them is what Windows does itself when it starts. Only for muletto-windows: everything
// here was written by a guest. Format: "Windows registry file format specification" by Maxim
// Suhanov, of the logs that Windows 8.1, Server 2012 R2 and later write. Functions; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace appliance::boot::windows {

// True if both sequence numbers of the hive's base block are the same: nothing is only in the logs.
// Throws corrupt for what does not begin as a hive.
bool is_clean(base::ByteView hive);

// Applies the entries of the logs that follow what the hive contains, in order, and marks the hive
// as clean. A log entry counts only if both of its checksums are right, its pages lie in the hive,
// and its number is the next. The hive may become longer. Returns how many entries were applied;
// 0: it was clean. Throws unsupported, with what to do, if it is not clean and the logs do not say
// what is missing; corrupt for a damaged hive; `hive` is useless then.
size_t replay_logs(base::Bytes& hive, const std::vector<base::Bytes>& logs);

// The checksum of a base block, over its first 508 bytes. `hive` has at least 512 bytes.
uint32_t base_block_checksum(base::ByteView hive);

// Marvin32 in its form of 64 bits: the checksum of log entries.
uint64_t marvin32(uint64_t seed, base::ByteView bytes);

inline constexpr uint64_t kLogSeed = 0x82EF'4D88'7A4E'55C5;  // of log entries
inline constexpr size_t kMaxHiveSize = 24 << 20;             // bytes

}  // namespace appliance::boot::windows
