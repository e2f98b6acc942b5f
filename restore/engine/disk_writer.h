// Makes a target hold a disk, by writing only what differs: the target is hashed where it is, chunk
// by chunk, and compared with the disk's chunk ids. So a target that still holds an older state of
// the disk (the surviving array, last week's restore, the machine's own disk) gets only what has
// changed since, and only that is read from the disk's store, or travels from it.
//
// This is also how an interrupted restore resumes: it is simply started again. What it wrote before
// compares as equal, at the speed of reading and hashing. No position is saved, since a position
// could be wrong (a power cut, a target that was used meanwhile) and a comparison cannot.
//
// Functions; thread-safe as long as their targets differ.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "images/disk_reader.h"
#include "restore/engine/target.h"

namespace restore {

enum class WritePhase { compare, verify };
std::string_view phase_name(WritePhase phase);  // "comparing and writing", "reading back"

struct WriteProgress {
  WritePhase phase = WritePhase::compare;
  uint64_t bytes_total = 0;      // of the disk
  uint64_t bytes_compared = 0;   // of them: looked at in the first phase
  uint64_t bytes_differing = 0;  // of these: the target held something else
  uint64_t bytes_written = 0;    // of these: written by now; zeros count too
  uint64_t bytes_fetched = 0;    // of these: read from the disk's store; zeros do not count
  uint64_t bytes_verified = 0;   // read back and found equal in the second phase
  uint64_t elapsed_ms = 0;
  uint64_t rate = 0;     // bytes per second of this phase, 0 while not known
  uint64_t left_ms = 0;  // estimate for this phase, 0 while not known
};
// Called from one thread at a time, a few times a second, and once at the end of each phase.
using WriteProgressCallback = std::function<void(const WriteProgress&)>;

enum class Verify {
  none,
  // What was written is read again. The rest was read from the medium and compared a moment before.
  written,
  // The whole target is read again, and its tree compared with the disk's, chunk by chunk.
  all,
};
std::string_view verify_name(Verify verify);     // "none", "written", "all"
Verify verify_from_name(std::string_view name);  // throws invalid_argument

struct WriteOptions {
  uint32_t thread_count = 4;  // more than processors: some wait for the disks
  uint64_t rate_limit = 0;    // bytes fetched per second; 0: none
  bool survey =
      false;  // only compares: nothing is written, and bytes_differing says how much would be
  Verify verify = Verify::written;
  // Numbers of chunks, ascending, within the disk. The target is known to be equal everywhere else,
  // and these are written without looking at what it has there; not with Verify::all or a survey.
  std::optional<std::vector<uint64_t>> only{};
  WriteProgressCallback on_progress;
  std::stop_token stop;
};

struct WriteResult {
  uint64_t bytes_total = 0;
  uint64_t bytes_differing = 0;
  uint64_t bytes_written = 0;
  uint64_t bytes_fetched = 0;
  uint64_t bytes_verified = 0;
  uint64_t compare_ms = 0;  // comparing and writing
  uint64_t verify_ms = 0;
};

// The target is at least as large as the disk (CHECK); bytes after it are not touched. Durable, and
// read back as options.verify says, when it returns.
// Throws what the disk's reads throw (corrupt, naming the damaged place); io if the target holds
// something else than was written to it, naming the first such place; no_space; cancelled. All
// threads have ended then, and the target holds any mixture of its old and its new content: the
// same call again completes it.
// Memory: two windows of 4 MiB per thread.
WriteResult write_differences(images::DiskReader& disk, Target& target,
                              const WriteOptions& options);

}  // namespace restore
