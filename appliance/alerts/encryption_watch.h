// Data that looks encrypted: a guest that rewrites its files with what does not shrink, more than it
// has ever changed. Judged by what syncs measure anyway (bytes read, bytes stored after deduplication
// and compression) against the machine's own history, so it costs nothing. Pure.
//
// One sync is suspicious if nearly all that was read is new and does not shrink (stored >= 85 % of
// read), the machine's data otherwise shrinks (to 75 % or less), and either
//   - it stored three times as much as any sync before, and at least 64 MiB and 2 % of the disks, or
//   - it and the one before both stored at least as much as any sync before them.
// Example: a file server stores 5 to 300 MiB an hour, of what is read 40 %. A sync that reads 6 GiB
// and stores 5.9 GiB is suspicious at once; one that stores 400 MiB of 410 is, when the next is too.
//
// Limits: a machine whose data never shrinks (video) is not judged; files that are encrypted slowly,
// below the most that the machine has stored in a sync, are not seen; a first large copy of films is taken for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace appliance::alerts {

struct SyncVolume {
  uint64_t time_ms = 0;
  uint64_t read = 0, stored = 0;  // bytes
  std::string point;              // its id
};

struct EncryptionSuspicion {
  SyncVolume first;         // of the newest suspicious syncs in a row, or nearly so
  std::string clean_point;  // the newest one before them; empty: none is known
  uint64_t clean_ms = 0;
};

constexpr size_t kSyncsToLearn = 8;
constexpr uint64_t kSuspicionKept_ms = 7ull * 24 * 3'600'000;  // after the last suspicious sync

// `syncs`: of one machine, oldest first, without its very first. None: nothing is suspicious, or too
// little is known. `disk_size`: bytes of all its disks.
std::optional<EncryptionSuspicion> looks_encrypted(const std::vector<SyncVolume>& syncs,
                                                   uint64_t disk_size, uint64_t now_ms);

}  // namespace appliance::alerts
