// Which files with several names were already met, so that the others become hard links. Both ends of
// the messages (files_format.h) decide by it whether a file's content follows its entry: it does
// not for a file that was met. So both must ask it in the same order. Bounded; not thread-safe.
#pragma once

#include <map>
#include <string>

#include "images/files/node.h"

namespace images::files {

class LinkMemory {
 public:
  // Null for a file that is met for the first time, which is remembered with `path` if it has other
  // names and there is room; else the path it was met by. Valid until the next call.
  const std::string* meet(const Node& node, const std::string& path) {
    if (node.kind != NodeKind::file || node.link_count < 2) return nullptr;
    auto found = paths_.find(node.id);
    if (found != paths_.end()) return &found->second;
    if (paths_.size() < kMaxFiles && size_ + path.size() <= kMaxSize) {
      size_ += path.size();
      paths_[node.id] = path;
    }
    return nullptr;
  }

 private:
  static constexpr size_t kMaxFiles = 300'000;
  static constexpr size_t kMaxSize = 32 << 20;  // bytes, of all paths
  std::map<NodeId, std::string> paths_;
  size_t size_ = 0;
};

}  // namespace images::files
