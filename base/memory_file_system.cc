#include "base/memory_file_system.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace base {
namespace {

constexpr uint64_t kSectorSize = 512;

// Bytes that only grow, shared by all contents with the same beginning: a sync costs nothing.
struct Content {
  std::shared_ptr<Bytes> buffer = std::make_shared<Bytes>();
  uint64_t size = 0;

  ByteView view() const { return ByteView(*buffer).first(size); }

  void append(ByteView bytes) {
    if (buffer->size() != size) *this = copy();  // another content continues differently
    buffer->insert(buffer->end(), bytes.begin(), bytes.end());
    size += bytes.size();
  }
  Content copy() const {
    ByteView bytes = view();
    return {std::make_shared<Bytes>(bytes.begin(), bytes.end()), size};
  }
};

// A file or a folder.
struct Node {
  bool is_directory = false;
  Content now, durable;
  uint64_t unchanged_size = 0;  // `now` and `durable` have this many bytes in common
  std::map<std::string, std::shared_ptr<Node>> entries, durable_entries;
  size_t shared_locks = 0;
  bool exclusive_lock = false;
};
using NodePtr = std::shared_ptr<Node>;

// One name that is set, or removed if `node` is null.
struct NameChange {
  NodePtr directory;
  std::string name;
  NodePtr node;
};
// What becomes durable as a unit: a creation, a removal, both halves of a rename.
using Operation = std::vector<NameChange>;

void apply(const Operation& operation) {
  for (const NameChange& change : operation) {
    if (change.node) change.directory->durable_entries[change.name] = change.node;
    else change.directory->durable_entries.erase(change.name);
  }
}

// Which of the operations that were not yet durable survive, as a disk may have kept them.
std::vector<Operation> surviving(std::vector<Operation> pending, std::mt19937_64& random) {
  switch (random() % 4) {
    case 0: return {};
    case 1: return pending;
    case 2: pending.resize(random() % (pending.size() + 1)); return pending;
    default: {
      std::vector<Operation> kept;
      for (Operation& operation : pending) {
        if (random() % 2 == 0) kept.push_back(std::move(operation));
      }
      return kept;
    }
  }
}

// Some sectors of bytes in flight arrive as zeros or as garbage.
void spoil_sectors(Bytes& bytes, uint64_t start, std::mt19937_64& random) {
  for (uint64_t sector = start; sector < bytes.size();
       sector = (sector / kSectorSize + 1) * kSectorSize) {
    if (random() % 3 != 0) continue;
    bool garbage = random() % 2 == 0;
    uint64_t end = std::min<uint64_t>(bytes.size(), (sector / kSectorSize + 1) * kSectorSize);
    for (uint64_t i = sector; i < end; ++i)
      bytes[i] = garbage ? static_cast<uint8_t>(random()) : uint8_t{0};
  }
}

Content surviving(const Node& file, std::mt19937_64& random) {
  bool same = file.now.buffer == file.durable.buffer && file.now.size == file.durable.size;
  if (same || random() % 4 == 0) return file.durable;
  ByteView now = file.now.view();
  if (random() % 3 == 0) return {std::make_shared<Bytes>(now.begin(), now.end()), now.size()};
  uint64_t end = file.unchanged_size + random() % (now.size() - file.unchanged_size + 1);
  Bytes bytes(now.begin(), now.begin() + static_cast<ptrdiff_t>(end));
  if (random() % 2 == 0) spoil_sectors(bytes, file.unchanged_size, random);
  uint64_t size = bytes.size();
  return {std::make_shared<Bytes>(std::move(bytes)), size};
}

void settle(Node& node, std::mt19937_64& random) {
  node.shared_locks = 0;
  node.exclusive_lock = false;
  if (!node.is_directory) {
    node.durable = surviving(node, random);
    node.now = node.durable;
    node.unchanged_size = node.now.size;
    return;
  }
  node.entries = node.durable_entries;
  for (auto& [name, child] : node.entries) settle(*child, random);
}

NodePtr copy_of(const NodePtr& node, std::unordered_map<const Node*, NodePtr>& copies) {
  if (!node) return nullptr;
  auto [place, is_new] = copies.try_emplace(node.get(), nullptr);
  if (!is_new) return place->second;
  auto copy = std::make_shared<Node>();
  place->second = copy;
  copy->is_directory = node->is_directory;
  copy->now = node->now.copy();
  copy->durable = node->durable.copy();
  copy->unchanged_size = node->unchanged_size;
  for (const auto& [name, child] : node->entries) copy->entries[name] = copy_of(child, copies);
  for (const auto& [name, child] : node->durable_entries)
    copy->durable_entries[name] = copy_of(child, copies);
  return copy;
}

}  // namespace

struct MemoryFileSystem::State {
  // Held while bytes are copied, since nothing here waits for a disk.
  mutable std::mutex mutex;
  NodePtr root = std::make_shared<Node>();
  std::vector<Operation> pending;  // in the order they were done
  uint64_t power_cuts = 0;

  // Null if there is no such name.
  NodePtr find(const std::string& path) const {
    NodePtr node = root;
    for (const std::string& name : split(path, '/')) {
      if (name.empty()) continue;
      auto found = node->entries.find(name);
      if (found == node->entries.end()) return nullptr;
      node = found->second;
    }
    return node;
  }

  NodePtr get(const std::string& path) const {
    NodePtr node = find(path);
    if (!node) throw Error(ErrorCode::not_found, path + " does not exist");
    return node;
  }

  NodePtr get_file(const std::string& path) const {
    NodePtr node = get(path);
    if (node->is_directory) throw Error(ErrorCode::io, path + " is a folder");
    return node;
  }

  NodePtr get_directory(const std::string& path) const {
    NodePtr node = get(path);
    if (!node->is_directory) throw Error(ErrorCode::io, path + " is no folder");
    return node;
  }

  NameChange change_of(const std::string& path, NodePtr node) const {
    return {get_directory(parent_path(path)), path.substr(path.find_last_of('/') + 1),
            std::move(node)};
  }

  void perform(Operation operation) {
    for (const NameChange& change : operation) {
      if (change.node) change.directory->entries[change.name] = change.node;
      else change.directory->entries.erase(change.name);
    }
    pending.push_back(std::move(operation));
  }

  void expect_power(uint64_t cuts_at_opening, const std::string& path) const {
    if (power_cuts != cuts_at_opening)
      throw Error(ErrorCode::io, "the power was cut while " + path + " was open");
  }
};

class MemoryFileSystem::OpenForReading : public ReadableFile {
 public:
  OpenForReading(std::shared_ptr<State> state, NodePtr node, std::string path)
      : state_(std::move(state)), node_(std::move(node)), path_(std::move(path)),
        cuts_(state_->power_cuts) {}

  uint64_t size() const override {
    std::lock_guard lock(state_->mutex);
    state_->expect_power(cuts_, path_);
    return node_->now.size;
  }

  void read_at(uint64_t offset, MutableByteView out) const override {
    std::lock_guard lock(state_->mutex);
    state_->expect_power(cuts_, path_);
    uint64_t size = node_->now.size;
    if (offset > size || out.size() > size - offset)
      throw Error(ErrorCode::corrupt, path_ + " ends too early");
    ByteView bytes = node_->now.view().subspan(offset, out.size());
    std::copy(bytes.begin(), bytes.end(), out.begin());
  }

 private:
  std::shared_ptr<State> state_;
  NodePtr node_;
  std::string path_;
  uint64_t cuts_;
};

class MemoryFileSystem::OpenForWriting : public WritableFile {
 public:
  OpenForWriting(std::shared_ptr<State> state, NodePtr node, std::string path)
      : state_(std::move(state)), node_(std::move(node)), path_(std::move(path)),
        cuts_(state_->power_cuts), size_(node_->now.size) {}

  uint64_t size() const override { return size_; }

  void append(ByteView bytes) override {
    std::lock_guard lock(state_->mutex);
    state_->expect_power(cuts_, path_);
    node_->now.append(bytes);
    size_ += bytes.size();
  }

  void sync() override {
    std::lock_guard lock(state_->mutex);
    state_->expect_power(cuts_, path_);
    node_->durable = node_->now;
    node_->unchanged_size = node_->now.size;
  }

 private:
  std::shared_ptr<State> state_;
  NodePtr node_;
  std::string path_;
  uint64_t cuts_;
  uint64_t size_;
};

class MemoryFileSystem::HeldLock : public FileLock {
 public:
  HeldLock(std::shared_ptr<State> state, NodePtr node, LockKind kind)
      : state_(std::move(state)), node_(std::move(node)), kind_(kind), cuts_(state_->power_cuts) {}
  ~HeldLock() override {
    std::lock_guard lock(state_->mutex);
    if (state_->power_cuts != cuts_) return;
    if (kind_ == LockKind::exclusive) node_->exclusive_lock = false;
    else --node_->shared_locks;
  }

 private:
  std::shared_ptr<State> state_;
  NodePtr node_;
  LockKind kind_;
  uint64_t cuts_;
};

MemoryFileSystem::MemoryFileSystem() : MemoryFileSystem(std::make_shared<State>()) {
  state_->root->is_directory = true;
}
MemoryFileSystem::MemoryFileSystem(std::shared_ptr<State> state) : state_(std::move(state)) {}
MemoryFileSystem::~MemoryFileSystem() = default;

std::unique_ptr<ReadableFile> MemoryFileSystem::open(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  return std::make_unique<OpenForReading>(state_, state_->get_file(path), path);
}

std::unique_ptr<WritableFile> MemoryFileSystem::create(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  if (state_->find(path)) throw Error(ErrorCode::already_exists, path + " exists");
  auto node = std::make_shared<Node>();
  state_->perform({state_->change_of(path, node)});
  return std::make_unique<OpenForWriting>(state_, node, path);
}

std::unique_ptr<WritableFile> MemoryFileSystem::reopen(const std::string& path, uint64_t size) {
  std::lock_guard lock(state_->mutex);
  NodePtr node = state_->get_file(path);
  if (size > node->now.size) node->now.append(Bytes(size - node->now.size));
  node->now.size = size;
  node->unchanged_size = std::min(node->unchanged_size, size);
  return std::make_unique<OpenForWriting>(state_, node, path);
}

bool MemoryFileSystem::exists(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  return state_->find(path) != nullptr;
}

void MemoryFileSystem::make_directory(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  if (state_->find(path)) return;
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  state_->perform({state_->change_of(path, node)});
}

std::vector<std::string> MemoryFileSystem::list(const std::string& directory) {
  std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, node] : state_->get_directory(directory)->entries) names.push_back(name);
  return names;
}

void MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(state_->mutex);
  NodePtr node = state_->get(from);
  state_->perform({state_->change_of(to, node), state_->change_of(from, nullptr)});
}

void MemoryFileSystem::remove(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  state_->get_file(path);
  state_->perform({state_->change_of(path, nullptr)});
}

void MemoryFileSystem::sync_directory(const std::string& directory) {
  std::lock_guard lock(state_->mutex);
  NodePtr node = state_->get_directory(directory);
  std::vector<Operation> later;
  for (Operation& operation : state_->pending) {
    bool touches = std::any_of(operation.begin(), operation.end(),
                               [&](const auto& c) { return c.directory == node; });
    if (touches) apply(operation);
    else later.push_back(std::move(operation));
  }
  state_->pending = std::move(later);
}

std::unique_ptr<FileLock> MemoryFileSystem::lock(const std::string& path, LockKind kind) {
  std::lock_guard guard(state_->mutex);
  NodePtr node = state_->get(path);
  bool free = !node->exclusive_lock && (kind == LockKind::shared || node->shared_locks == 0);
  if (!free) throw Error(ErrorCode::busy, path + " is in use by another process");
  if (kind == LockKind::exclusive) node->exclusive_lock = true;
  else ++node->shared_locks;
  return std::make_unique<HeldLock>(state_, node, kind);
}

void MemoryFileSystem::power_cut(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lock_guard lock(state_->mutex);
  ++state_->power_cuts;
  for (const Operation& operation : surviving(std::move(state_->pending), random)) apply(operation);
  state_->pending.clear();
  settle(*state_->root, random);
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::clone() const {
  auto state = std::make_shared<State>();
  std::lock_guard lock(state_->mutex);
  std::unordered_map<const Node*, NodePtr> copies;
  state->root = copy_of(state_->root, copies);
  for (const Operation& operation : state_->pending) {
    Operation copy;
    for (const NameChange& change : operation) {
      copy.push_back(
          {copy_of(change.directory, copies), change.name, copy_of(change.node, copies)});
    }
    state->pending.push_back(std::move(copy));
  }
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(state)));
}

}  // namespace base
