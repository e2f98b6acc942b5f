// What differs between the same folder in two points: added, changed and deleted files, by what the
// file systems say of them (kind, size, times, owner, permissions, links); contents are not read. A
// program that writes a file and sets its time of modification back still changes `changed`, the
// time that only the file system sets. Bounded in memory by the largest folder. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "images/files/files_process.h"

namespace images::files {

enum class ChangeKind { added, changed, deleted, problem };
std::string_view change_name(ChangeKind kind);  // "added", …

struct Change {
  ChangeKind kind = ChangeKind::added;
  std::string path;               // below where the comparison began, bytes; empty: that itself
  std::vector<std::string> what;  // changed: "size", "modified", "mode", …
  std::optional<Node> before, after;
  std::string words;  // problem: what could not be compared, and why
};

// One side: a path of a file system of a point. The process must outlive the comparison.
struct ComparedSide {
  FilesProcess& process;
  uint32_t file_system = 0;
  std::string path;
};

class Comparison {
 public:
  // Throws not_found if the path is on neither side, invalid_argument if it is no folder.
  Comparison(ComparedSide before, ComparedSide after);

  // The changes of the next folder, with some bounded number of names; the folder's own order. None:
  // it is complete. What an added or deleted folder holds is listed too.
  std::optional<std::vector<Change>> next();

  uint64_t folder_count() const { return folder_count_; }

 private:
  struct Pair {
    std::string path;
    std::optional<NodeId> before, after;
  };
  std::vector<Entry> names_of(ComparedSide& side, const std::optional<NodeId>& folder,
                              const std::string& path, std::vector<Change>& changes);
  void compare(const std::string& path, const Entry* before, const Entry* after,
               std::vector<Change>& changes);

  ComparedSide before_, after_;
  std::vector<Pair> waiting_;  // folders, last first
  uint64_t folder_count_ = 0;
};

// What differs, in words; empty: nothing.
std::vector<std::string> differences(const Node& before, const Node& after);

}  // namespace images::files
