#include "images/files/comparison.h"

#include <algorithm>

#include "base/error.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint32_t kPage = 5000;           // entries
constexpr size_t kMaxEntries = 400'000;    // of one folder
constexpr size_t kMaxWaiting = 1'000'000;  // folders

std::optional<Node> find(ComparedSide& side) {
  try {
    return side.process.look(side.file_system, side.path);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    throw;
  }
}

}  // namespace

std::string_view change_name(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::added: return "added";
    case ChangeKind::changed: return "changed";
    case ChangeKind::deleted: return "deleted";
    case ChangeKind::problem: break;
  }
  return "problem";
}

std::vector<std::string> differences(const Node& before, const Node& after) {
  std::vector<std::string> what;
  auto note = [&](bool differs, const char* word) {
    if (differs) what.emplace_back(word);
  };
  note(before.kind != after.kind, "kind");
  note(before.size != after.size, "size");
  // A folder's own time changes with what is in it, which is listed.
  note(before.kind != NodeKind::folder && before.modified != after.modified, "modified");
  note(before.mode != after.mode, "mode");
  note(before.owner != after.owner || before.group != after.group, "owner");
  note(before.target != after.target, "target");
  note(before.device_major != after.device_major || before.device_minor != after.device_minor,
       "device");
  if (what.empty() && before.kind != NodeKind::folder) {
    note(before.changed != after.changed, "changed");
    note(before.id != after.id && before.born != after.born, "replaced");
  }
  return what;
}

Comparison::Comparison(ComparedSide before, ComparedSide after)
    : before_(std::move(before)), after_(std::move(after)) {
  std::optional<Node> old_node = find(before_), new_node = find(after_);
  if (!old_node && !new_node)
    throw Error(ErrorCode::not_found, "the path is in neither of the two points");
  for (const std::optional<Node>* each : {&old_node, &new_node}) {
    if (*each && (*each)->kind != NodeKind::folder)
      throw Error(ErrorCode::invalid_argument, "only folders can be compared");
  }
  Pair root;
  if (old_node) root.before = old_node->id;
  if (new_node) root.after = new_node->id;
  waiting_.push_back(std::move(root));
}

std::vector<Entry> Comparison::names_of(ComparedSide& side, const std::optional<NodeId>& folder,
                                        const std::string& path, std::vector<Change>& changes) {
  std::vector<Entry> all;
  if (!folder) return all;
  auto say = [&](const std::string& where, const std::string& words) {
    changes.push_back({ChangeKind::problem, where, {}, {}, {}, words});
  };
  try {
    uint64_t cursor = 0;
    for (bool has_more = true; has_more;) {
      FilePage page = side.process.list(side.file_system, *folder, cursor, kPage);
      for (Problem& each : page.problems)
        say(each.path.empty() || path.empty() ? path + each.path : path + "/" + each.path,
            each.why);
      std::move(page.entries.begin(), page.entries.end(), std::back_inserter(all));
      has_more = page.has_more && page.cursor > cursor;
      cursor = page.cursor;
      if (has_more && all.size() >= kMaxEntries) {
        say(path, "the folder has too many files to be compared");
        return {};
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unavailable) throw;
    say(path, error.message());
  }
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return all;
}

void Comparison::compare(const std::string& path, const Entry* before, const Entry* after,
                         std::vector<Change>& changes) {
  const Entry& any = before != nullptr ? *before : *after;
  std::string place = path.empty() ? any.path : path + "/" + any.path;
  bool was_folder = before != nullptr && before->node.kind == NodeKind::folder;
  bool is_folder = after != nullptr && after->node.kind == NodeKind::folder;
  Change change;
  change.path = place;
  if (before != nullptr) change.before = before->node;
  if (after != nullptr) change.after = after->node;
  if (before == nullptr) {
    change.kind = ChangeKind::added;
  } else if (after == nullptr) {
    change.kind = ChangeKind::deleted;
  } else {
    change.kind = ChangeKind::changed;
    change.what = differences(before->node, after->node);
  }
  if (change.kind != ChangeKind::changed || !change.what.empty())
    changes.push_back(std::move(change));
  if (!was_folder && !is_folder) return;
  bool is_deep = std::count(place.begin(), place.end(), '/') >= static_cast<ptrdiff_t>(kMaxDepth);
  if (is_deep || waiting_.size() >= kMaxWaiting) {
    changes.push_back(
        {ChangeKind::problem, place, {}, {}, {}, "it is too deep, or there are too many folders"});
    return;
  }
  Pair pair{place, std::nullopt, std::nullopt};
  if (was_folder) pair.before = before->node.id;
  if (is_folder) pair.after = after->node.id;
  waiting_.push_back(std::move(pair));
}

std::optional<std::vector<Change>> Comparison::next() {
  if (waiting_.empty()) return std::nullopt;
  Pair pair = std::move(waiting_.back());
  waiting_.pop_back();
  ++folder_count_;
  std::vector<Change> changes;
  size_t count_before = changes.size();
  std::vector<Entry> old_names = names_of(before_, pair.before, pair.path, changes);
  std::vector<Entry> new_names = names_of(after_, pair.after, pair.path, changes);
  // Where one side could not be listed, the other's names would all look added or deleted.
  bool is_known = changes.size() == count_before || (!old_names.empty() && !new_names.empty());
  if (!is_known) return changes;
  size_t i = 0, j = 0;
  while (i < old_names.size() || j < new_names.size()) {
    bool has_old = i < old_names.size(), has_new = j < new_names.size();
    int order = !has_old ? 1 : !has_new ? -1 : old_names[i].path.compare(new_names[j].path);
    const Entry* before = order <= 0 ? &old_names[i] : nullptr;
    const Entry* after = order >= 0 ? &new_names[j] : nullptr;
    compare(pair.path, before, after, changes);
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return changes;
}

}  // namespace images::files
