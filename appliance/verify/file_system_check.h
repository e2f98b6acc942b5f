// Which program checks which type of file system without changing what is stored, and what its
// output means. The output depends on what a guest wrote. Pure functions.
//
// A point of a running machine is what its disk would be after a power cut: a journal that has to
// be replayed is normal. e2fsck replays it on a temporary layer and repairs what a boot would
// repair without asking; only what it leaves to a person is damage. If only a mount can replay the
// journal (XFS), findings with a journal that is not empty mean nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::verify {

struct FileSystemCheck {
  std::vector<std::string> command;
  bool writes = false;        // needs a temporary layer to write to
  bool bounded_files = true;  // false: the size of the files it writes must not be limited
};

// `type` is blkid's: "ext4", "xfs", "ntfs", "vfat", "btrfs". Nothing for a type that no program
// here knows. `memory_size` is what the program may need, in bytes (check_cost.h).
std::optional<FileSystemCheck> check_for(std::string_view type, const std::string& path,
                                         uint64_t memory_size);

// What makes other volumes of it: LVM, RAID, encryption, by blkid's type.
bool is_container(std::string_view type);

// There is no file system in it that could be damaged: "swap".
bool is_uninteresting(std::string_view type);

enum class CheckResult {
  whole,
  damaged,
  unknown,  // no result: the program could not do it, or its findings mean nothing
};

struct CheckOutcome {
  CheckResult result = CheckResult::unknown;
  std::string words;  // for people, one line; may be empty if intact
};

// `status` and `output` (both streams) of the command above; a status above 128 means a signal.
CheckOutcome outcome_of(std::string_view type, const std::string& path, int status,
                        const std::string& output);

}  // namespace appliance::verify
