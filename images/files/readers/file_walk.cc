#include "images/files/readers/file_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/error.h"
#include "images/files/link_memory.h"
#include "images/files/name_text.h"

namespace images::files {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr size_t kPage = 256;              // entries that a walk keeps of each folder
constexpr size_t kMaxFolders = 1'000'000;  // whose second visit is noticed
constexpr std::chrono::milliseconds kSignOfLife{200};

std::string words_of(const std::exception& error) {
  auto* known = dynamic_cast<const Error*>(&error);
  if (known != nullptr) return known->message();
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return "it needs more memory than the reader may use";
  return "it cannot be read";
}

bool is_same(std::string_view a, std::string_view b, bool ignores_case) {
  if (a == b) return true;
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return ignores_case && a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// What has this name in a folder; an exact match comes first.
std::optional<NodeId> find_name(FileSystemReader& files, const NodeId& folder,
                                const std::string& name) {
  std::optional<NodeId> found;
  files.list(folder, 0, [&](const FolderEntry& entry) {
    if (entry.name == name) {
      found = entry.id;
      return false;
    }
    if (!found && is_same(entry.name, name, files.ignores_case())) found = entry.id;
    return true;
  });
  return found;
}

Node resolve(FileSystemReader& files, const std::string& path) {
  Node node = files.node(files.root());
  std::string so_far;
  for (const std::string& part : parts_of_path(path)) {
    std::string shown = text_of_name(so_far.empty() ? "/" : so_far);
    if (node.kind == NodeKind::link)
      throw Error(ErrorCode::not_found, fmt::format("'{}' is a link to '{}': ask for that path",
                                                    shown, text_of_name(node.target)));
    if (node.kind != NodeKind::folder)
      throw Error(ErrorCode::not_found, fmt::format("'{}' is not a folder", shown));
    std::optional<NodeId> next = find_name(files, node.id, part);
    if (!next)
      throw Error(ErrorCode::not_found,
                  fmt::format("there is no '{}' in the folder '{}'", text_of_name(part), shown));
    so_far += "/" + part;
    node = files.node(*next);
  }
  return node;
}

Node asked_node(FileSystemReader& files, const PathRequest& request) {
  return request.id ? files.node(*request.id) : resolve(files, request.path);
}

void require_folder(const Node& node, const std::string& path) {
  if (node.kind != NodeKind::folder)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a folder", text_of_name(path)));
}

// What is wrong with a name that a file system contains; empty: nothing.
std::string obstacle_of(std::string_view name) {
  if (is_plain_name(name)) return "";
  if (name.size() > kMaxName) return "its name is too long";
  return "its name is impossible (empty, or with '/' or NUL in it)";
}

void send_problem(Link& link, const std::string& path, const std::string& why) {
  link.send(pack(MessageKind::problem, Problem{path.substr(0, kMaxPath), why}));
}

void send_bytes(Link& link, FileContent& content, uint64_t offset, uint64_t length) {
  Bytes piece;
  for (uint64_t done = 0; done < length;) {
    piece.resize(std::min<uint64_t>(kMaxDataPiece, length - done));
    content.read(offset + done, piece);
    link.send(pack_data(offset + done, piece));
    done += piece.size();
  }
}

// A walk through a folder and all below it, depth first.
class Walk {
 public:
  Walk(FileSystemReader& files, const WalkRequest& request, Link& link)
      : files_(files), request_(request), link_(link) {}

  void run() {
    Node start = resolve(files_, request_.path);
    meet("", start);
    if (start.kind != NodeKind::folder) return;
    enter("", start.id);
    while (!levels_.empty()) step();
    link_.send(pack(progress_));
  }

 private:
  struct Level {
    std::string path;
    NodeId id;
    uint64_t cursor = 0;
    std::vector<FolderEntry> page;
    size_t at = 0;
    bool is_read = false;  // there are no more pages
  };

  void enter(const std::string& path, const NodeId& id) {
    bool is_within = std::ranges::any_of(levels_, [&](const Level& each) { return each.id == id; });
    if (is_within) {
      send_problem(link_, path, "the file system is damaged: this folder contains itself");
    } else if (levels_.size() >= kMaxDepth || path.size() > kMaxPath / 2) {
      send_problem(link_, path, "the folder lies too deep");
    } else if (visited_.contains(id)) {
      send_problem(link_, path, "the file system is damaged: this folder is also in another one");
    } else {
      if (visited_.size() < kMaxFolders) visited_.insert(id);
      ++progress_.folder_count;
      levels_.push_back({path, id, 0, {}, 0, false});
    }
  }

  // The next page of a folder. False if there is none.
  bool read_page(Level& level) {
    level.page.clear();
    level.at = 0;
    if (level.is_read) return false;
    level.is_read = true;
    try {
      files_.list(level.id, level.cursor, [&](const FolderEntry& entry) {
        // A cursor that does not move would never end.
        if (entry.next <= level.cursor) throw Error(ErrorCode::corrupt, "the folder is damaged");
        level.cursor = entry.next;
        level.page.push_back(entry);
        level.is_read = level.page.size() < kPage;
        return level.is_read;
      });
    } catch (const std::exception& error) {
      level.is_read = true;
      send_problem(link_, level.path, "a part of the folder cannot be read: " + words_of(error));
    }
    return !level.page.empty();
  }

  void step() {
    Level& level = levels_.back();
    if (level.at >= level.page.size() && !read_page(level)) {
      levels_.pop_back();
      return;
    }
    FolderEntry entry = std::move(level.page[level.at++]);
    if (entry.name == "." || entry.name == "..") return;
    std::string path = level.path.empty() ? entry.name : level.path + "/" + entry.name;
    std::string obstacle = obstacle_of(entry.name);
    if (!obstacle.empty()) {
      send_problem(link_, level.path, "something in it is left out: " + obstacle);
      return;
    }
    give_sign_of_life();
    try {
      Node node = files_.node(entry.id);
      meet(path, node);
      if (node.kind == NodeKind::folder) enter(path, node.id);
    } catch (const std::exception& error) {
      send_problem(link_, path, words_of(error));
    }
  }

  void give_sign_of_life() {
    if (Clock::now() - last_sign_ < kSignOfLife) return;
    last_sign_ = Clock::now();
    link_.send(pack(progress_));
  }

  // `level` references may be invalid after this.
  void meet(const std::string& path, Node& node) {
    ++progress_.file_count;
    bool is_wanted = request_.pattern.empty() ||
                     (!path.empty() && matches(request_.pattern, path.substr(path.rfind('/') + 1),
                                               request_.ignores_case));
    if (!is_wanted) return;
    if (!request_.with_content) {
      link_.send(pack(Entry{path, node}));
      return;
    }
    try {
      node.attributes = files_.attributes(node.id);
    } catch (const std::exception& error) {
      send_problem(link_, path, "its extended attributes are left out: " + words_of(error));
    }
    if (node.kind == NodeKind::file) meet_file(path, node);
    else link_.send(pack(Entry{path, node}));
  }

  void meet_file(const std::string& path, const Node& node) {
    if (request_.links_once && links_.meet(node, path) != nullptr) {
      link_.send(pack(Entry{path, node}));
      return;
    }
    std::unique_ptr<FileContent> content;
    std::vector<DataRange> ranges;
    std::string why;
    try {
      content = files_.open(node.id);
      if (content->size() < node.size)
        throw Error(ErrorCode::corrupt, "its content is shorter than its size");
      ranges = content->ranges(kMaxRanges);
    } catch (const std::exception& error) {
      why = words_of(error);
      ranges.clear();
    }
    link_.send(pack(Entry{path, node}));
    link_.send(pack(ranges));
    try {
      for (const DataRange& each : ranges) {
        if (each.offset < node.size)
          send_bytes(link_, *content, each.offset, std::min(each.length, node.size - each.offset));
      }
    } catch (const std::exception& error) {
      why = words_of(error);
    }
    link_.send(pack(MessageKind::content_end, Problem{"", why}));
  }

  FileSystemReader& files_;
  const WalkRequest& request_;
  Link& link_;
  std::vector<Level> levels_;
  std::set<NodeId> visited_;
  LinkMemory links_;
  Progress progress_;
  Clock::time_point last_sign_ = Clock::now();
};

}  // namespace

End answer_list(FileSystemReader& files, const PathRequest& request, Link& link) {
  Node folder = asked_node(files, request);
  require_folder(folder, request.path);
  End end;
  end.cursor = request.cursor;
  uint64_t count = 0;
  std::vector<FolderEntry> page;
  try {
    files.list(folder.id, request.cursor, [&](const FolderEntry& entry) {
      if (count == request.limit) {
        end.has_more = true;
        return false;
      }
      if (entry.next <= end.cursor) throw Error(ErrorCode::corrupt, "the folder is damaged");
      end.cursor = entry.next;
      if (entry.name == "." || entry.name == "..") return true;
      page.push_back(entry);
      ++count;
      return true;
    });
  } catch (const Error& error) {
    if (page.empty()) throw;
    send_problem(link, "", "a part of the folder cannot be read: " + error.message());
  }
  for (const FolderEntry& entry : page) {
    std::string obstacle = obstacle_of(entry.name);
    if (!obstacle.empty()) {
      send_problem(link, "", "something in the folder is left out: " + obstacle);
      continue;
    }
    try {
      link.send(pack(Entry{entry.name, files.node(entry.id)}));
    } catch (const Error& error) {
      send_problem(link, entry.name, error.message());
    }
  }
  return end;
}

End answer_look(FileSystemReader& files, const PathRequest& request, Link& link) {
  Node node = asked_node(files, request);
  node.attributes = files.attributes(node.id);
  link.send(pack(Entry{"", node}));
  return {};
}

End answer_read(FileSystemReader& files, const PathRequest& request, Link& link) {
  Node node = asked_node(files, request);
  if (node.kind != NodeKind::file)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a file", text_of_name(request.path)));
  std::unique_ptr<FileContent> content = files.open(node.id);
  if (request.cursor < content->size())
    send_bytes(link, *content, request.cursor,
               std::min(request.limit, content->size() - request.cursor));
  return {};
}

End answer_walk(FileSystemReader& files, const WalkRequest& request, Link& link) {
  Walk(files, request, link).run();
  return {};
}

}  // namespace images::files
