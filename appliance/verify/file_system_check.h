// Which program checks a file system of which type without changing what is stored, and what its
// words mean. The programs' output comes from what a guest wrote. Pure functions.
//
// A point of a running machine is what its disk would be after a power cut: a journal that has to
// be replayed is normal. e2fsck replays it on a throw-away layer and mends what a boot would mend
// unasked; only what it leaves to a person is damage. Where nothing but a mount can replay the
// journal (XFS), findings under a full journal say nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::verify {

struct FileSystemCheck {
  std::vector<std::string> command;
  bool writes = false;        // wants a throw-away layer to write on
  bool bounded_files = true;  // false: it may not be limited in the size of the files it writes
};

// `type` is blkid's word: "ext4", "xfs", "ntfs", "vfat", "btrfs". Nothing for one that no program
// here knows.
std::optional<FileSystemCheck> check_for(std::string_view type, const std::string& path);

// Nothing of a file system is in there that could be damaged: "swap".
bool is_uninteresting(std::string_view type);

enum class CheckResult {
  whole,
  damaged,
  unknown,  // nothing can be said: the program could not do it, or its findings say nothing
};

struct CheckOutcome {
  CheckResult result = CheckResult::unknown;
  std::string words;  // for people, one line; may be empty when whole
};

// `status` and `output` (both streams) of the command above; a status above 128 is a signal's.
CheckOutcome outcome_of(std::string_view type, const std::string& path, int status,
                        const std::string& output);

}  // namespace appliance::verify
