#include "images/chunk_index.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file_system.h"
#include "images/index_format.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using format::PublicManifest;

// Address space, not disk: the file grows with its content. 64 TiB of distinct chunks need about 100 GiB.
constexpr size_t kMapSize = 512ull << 30;
constexpr unsigned kMaxReaders = 4096;
constexpr const char* kCleanMark = "closed";

[[noreturn]] void fail(int code, const std::string& action) {
  std::string text = "the index: cannot " + action + ": " + mdb_strerror(code);
  switch (code) {
    case ENOSPC:
    case MDB_MAP_FULL: throw Error(ErrorCode::no_space, text);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_BAD_DBI: throw Error(ErrorCode::corrupt, text);
    case MDB_READERS_FULL: throw Error(ErrorCode::busy, text);
    case ENOENT: throw Error(ErrorCode::not_found, text);
    case EACCES: throw Error(ErrorCode::unauthorized, text);
    default: throw Error(ErrorCode::io, text);
  }
}

void check(int code, const char* action) {
  if (code != MDB_SUCCESS) fail(code, action);
}

MDB_val value_of(ByteView bytes) { return {bytes.size(), const_cast<uint8_t*>(bytes.data())}; }
ByteView view_of(const MDB_val& value) { return {static_cast<const uint8_t*>(value.mv_data), value.mv_size}; }

Bytes key_of(uint32_t number) {
  // Big-endian, so that rows sort by number.
  return {static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16),
          static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
}

template <typename AnyId>
AnyId id_of(ByteView bytes) {
  if (bytes.size() != AnyId::kSize) throw Error(ErrorCode::corrupt, "the index has a key of a bad length");
  AnyId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

struct Tables {
  MDB_dbi chunks = 0, packs = 0, points = 0, timeline = 0, facts = 0;
};

// LMDB allows one opening of an environment a process (its locks belong to the process): so all openings of
// one folder share this object.
class Environment {
 public:
  Environment(const std::string& directory, const StoreId& store, bool create) {
    check(mdb_env_create(&env_), "start");
    try {
      open(directory, create);
      open_tables(store, create);
    } catch (...) {
      mdb_env_close(env_);
      throw;
    }
  }
  ~Environment() { mdb_env_close(env_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  MDB_env* get() const { return env_; }
  const Tables& tables() const { return tables_; }

 private:
  void open(const std::string& directory, bool create) {
    std::string data = base::join_path(directory, "data.mdb");
    struct stat status;
    if (::stat(data.c_str(), &status) != 0 && !create) {
      throw Error(ErrorCode::not_found, "there is no index in " + directory);
    }
    check(mdb_env_set_maxdbs(env_, 8), "configure");
    check(mdb_env_set_maxreaders(env_, kMaxReaders), "configure");
    check(mdb_env_set_mapsize(env_, kMapSize), "configure");
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    int code = mdb_env_open(env_, directory.c_str(), flags, 0640);
    if ((code == EROFS || code == EACCES) && !create) {
      // A store on a read-only medium has no writer to be protected from.
      code = mdb_env_open(env_, directory.c_str(), flags | MDB_RDONLY | MDB_NOLOCK, 0640);
    }
    if (code != MDB_SUCCESS) fail(code, "open " + directory);
    check_length(data);
    int stale = 0;
    mdb_reader_check(env_, &stale);  // slots of readers that were killed
  }

  // A file shorter than its pages would end this process with SIGBUS.
  void check_length(const std::string& data) {
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(env_, &info), "examine");
    check(mdb_env_stat(env_, &stat), "examine");
    struct stat status;
    if (::stat(data.c_str(), &status) != 0) throw base::system_error(errno, "cannot examine " + data);
    if (static_cast<uint64_t>(status.st_size) < (info.me_last_pgno + 1) * stat.ms_psize) {
      throw Error(ErrorCode::corrupt, "the index " + data + " is cut short");
    }
  }

  void open_tables(const StoreId& store, bool create) {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, create ? 0 : MDB_RDONLY, &txn), "begin");
    try {
      unsigned flags = create ? MDB_CREATE : 0;
      check(mdb_dbi_open(txn, "chunks", flags, &tables_.chunks), "open its table of chunks");
      check(mdb_dbi_open(txn, "packs", flags, &tables_.packs), "open its table of packs");
      check(mdb_dbi_open(txn, "points", flags, &tables_.points), "open its table of points");
      check(mdb_dbi_open(txn, "timeline", flags, &tables_.timeline), "open its table of times");
      check(mdb_dbi_open(txn, "facts", flags, &tables_.facts), "open its table of facts");
      check_owner(txn, store, create);
    } catch (const Error& error) {
      mdb_txn_abort(txn);
      // Without its tables it is no index: half made, or another program's.
      if (error.code() == ErrorCode::io) throw Error(ErrorCode::corrupt, error.message());
      throw;
    }
    check(mdb_txn_commit(txn), "commit");
  }

  void check_owner(MDB_txn* txn, const StoreId& store, bool create) {
    MDB_val key = value_of(base::as_bytes("store")), value;
    int code = mdb_get(txn, tables_.facts, &key, &value);
    if (code == MDB_NOTFOUND && create) {
      value = value_of(store.view());
      check(mdb_put(txn, tables_.facts, &key, &value, 0), "write");
      return;
    }
    check(code, "read its owner");
    if (id_of<StoreId>(view_of(value)) != store) {
      throw Error(ErrorCode::corrupt, "the index belongs to another store");
    }
  }

  MDB_env* env_ = nullptr;
  Tables tables_;
};

struct OpenEnvironments {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Environment>> by_path;
};

OpenEnvironments& open_environments() {
  static OpenEnvironments environments;
  return environments;
}

std::string resolved_path(const std::string& directory) {
  char* resolved = ::realpath(directory.c_str(), nullptr);
  if (resolved == nullptr) throw base::system_error(errno, "cannot open the index " + directory);
  std::string path = resolved;
  std::free(resolved);
  return path;
}

std::shared_ptr<Environment> shared_environment(const std::string& directory, const StoreId& store, bool create) {
  OpenEnvironments& open = open_environments();
  std::lock_guard lock(open.mutex);
  auto& slot = open.by_path[resolved_path(directory)];
  if (auto existing = slot.lock()) return existing;
  auto made = std::make_shared<Environment>(directory, store, create);
  slot = made;
  return made;
}

class Transaction : public IndexTransaction {
 public:
  Transaction(std::shared_ptr<Environment> environment, bool writes)
      : environment_(std::move(environment)), tables_(environment_->tables()) {
    check(mdb_txn_begin(environment_->get(), nullptr, writes ? 0 : MDB_RDONLY, &txn_), "begin");
  }
  ~Transaction() override {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }

  std::optional<ChunkEntry> find_chunk(const ChunkId& id) override {
    auto bytes = get(tables_.chunks, id.view());
    if (!bytes) return std::nullopt;
    return index_format::decode_chunk(id, *bytes);
  }

  uint64_t chunk_count() override {
    MDB_stat stat;
    check(mdb_stat(txn_, tables_.chunks, &stat), "examine");
    return stat.ms_entries;
  }

  std::optional<PackEntry> find_pack(uint32_t number) override {
    auto bytes = get(tables_.packs, key_of(number));
    if (!bytes) return std::nullopt;
    return index_format::decode_pack(*bytes);
  }

  void for_each_pack(const std::function<void(uint32_t, const PackEntry&)>& visit) override {
    for_each(tables_.packs, {}, [&](ByteView key, ByteView value) {
      if (key.size() != 4) throw Error(ErrorCode::corrupt, "the index has a pack number of a bad length");
      uint32_t number = uint32_t{key[0]} << 24 | uint32_t{key[1]} << 16 | uint32_t{key[2]} << 8 | key[3];
      visit(number, index_format::decode_pack(value));
      return true;
    });
  }

  void for_each_chunk(const std::function<void(const ChunkId&, const ChunkEntry&)>& visit) override {
    for_each(tables_.chunks, {}, [&](ByteView key, ByteView value) {
      ChunkId id = id_of<ChunkId>(key);
      visit(id, index_format::decode_chunk(id, value));
      return true;
    });
  }

  std::optional<PublicManifest> find_point(const PointId& id) override {
    auto bytes = get(tables_.points, id.view());
    if (!bytes) return std::nullopt;
    return index_format::decode_point(*bytes);
  }

  void for_each_point(const std::function<void(const PublicManifest&)>& visit) override {
    for_each(tables_.timeline, {}, [&](ByteView key, ByteView) {
      visit(point_of_key(key));
      return true;
    });
  }

  std::vector<PublicManifest> points_of(const MachineId& machine) override {
    std::vector<PublicManifest> points;
    for_each(tables_.timeline, machine.view(), [&](ByteView key, ByteView) {
      if (!std::equal(machine.bytes.begin(), machine.bytes.end(), key.begin())) return false;
      points.push_back(point_of_key(key));
      return true;
    });
    return points;
  }

  std::optional<PublicManifest> point_before(const PublicManifest& place) override {
    return neighbour(place, MDB_PREV);
  }
  std::optional<PublicManifest> point_after(const PublicManifest& place) override {
    return neighbour(place, MDB_NEXT);
  }

  std::vector<PointId> points_with_prefix(const std::string& digits, size_t limit) override {
    std::string even = digits.size() % 2 == 0 ? digits : digits + "0";
    Bytes first = base::from_hex(even, even.size() / 2);
    std::vector<PointId> found;
    for_each(tables_.points, first, [&](ByteView key, ByteView) {
      PointId id = id_of<PointId>(key);
      if (!id.hex().starts_with(digits) || found.size() == limit) return false;
      found.push_back(id);
      return true;
    });
    return found;
  }

  std::optional<TimelineChange> pending_change() override {
    auto bytes = get(tables_.facts, base::as_bytes("change"));
    if (!bytes) return std::nullopt;
    return index_format::decode_change(*bytes);
  }

  uint64_t number(const char* name, uint64_t fallback) override {
    auto bytes = get(tables_.facts, base::as_bytes(name));
    if (!bytes) return fallback;
    if (bytes->size() != 8) throw Error(ErrorCode::corrupt, "the index has a fact of a bad length");
    return base::load_u64(bytes->data());
  }

  void put_chunk(const ChunkId& id, const ChunkEntry& entry) override {
    put(tables_.chunks, id.view(), index_format::encode_chunk(id, entry));
  }
  void erase_chunk(const ChunkId& id) override { erase(tables_.chunks, id.view()); }

  uint32_t add_pack(const PackEntry& entry) override {
    auto number = static_cast<uint32_t>(this->number("next pack", 1));
    set_number("next pack", number + 1ull);
    put_pack(number, entry);
    return number;
  }
  void put_pack(uint32_t number, const PackEntry& entry) override {
    put(tables_.packs, key_of(number), index_format::encode_pack(entry));
  }
  void erase_pack(uint32_t number) override { erase(tables_.packs, key_of(number)); }

  void put_point(const PublicManifest& point) override {
    put(tables_.points, point.id.view(), index_format::encode_point(point));
    put(tables_.timeline, index_format::timeline_key(point.machine, point.time_ms, point.id), {});
  }
  void erase_point(const PublicManifest& point) override {
    erase(tables_.points, point.id.view());
    erase(tables_.timeline, index_format::timeline_key(point.machine, point.time_ms, point.id));
  }

  void set_pending_change(const std::optional<TimelineChange>& change) override {
    if (change) put(tables_.facts, base::as_bytes("change"), index_format::encode_change(*change));
    else erase(tables_.facts, base::as_bytes("change"));
  }

  void set_number(const char* name, uint64_t value) override {
    Bytes bytes(8);
    base::store_u64(bytes.data(), value);
    put(tables_.facts, base::as_bytes(name), bytes);
  }

  void commit() override {
    MDB_txn* txn = std::exchange(txn_, nullptr);
    CHECK(txn != nullptr);
    check(mdb_txn_commit(txn), "commit");
  }

 private:
  struct Cursor {
    MDB_cursor* cursor = nullptr;
    ~Cursor() {
      if (cursor != nullptr) mdb_cursor_close(cursor);
    }
  };

  std::optional<ByteView> get(MDB_dbi table, ByteView key) {
    MDB_val key_value = value_of(key), value;
    int code = mdb_get(txn_, table, &key_value, &value);
    if (code == MDB_NOTFOUND) return std::nullopt;
    check(code, "read");
    return view_of(value);
  }

  void put(MDB_dbi table, ByteView key, ByteView bytes) {
    MDB_val key_value = value_of(key), value = value_of(bytes);
    check(mdb_put(txn_, table, &key_value, &value, 0), "write");
  }

  void erase(MDB_dbi table, ByteView key) {
    MDB_val key_value = value_of(key);
    int code = mdb_del(txn_, table, &key_value, nullptr);
    if (code != MDB_NOTFOUND) check(code, "erase");
  }

  // From the first key not below `start`, until `visit` returns false.
  void for_each(MDB_dbi table, ByteView start, const std::function<bool(ByteView, ByteView)>& visit) {
    Cursor cursor;
    check(mdb_cursor_open(txn_, table, &cursor.cursor), "read");
    MDB_val key = value_of(start), value;
    int code = mdb_cursor_get(cursor.cursor, &key, &value, start.empty() ? MDB_FIRST : MDB_SET_RANGE);
    while (code == MDB_SUCCESS && visit(view_of(key), view_of(value))) {
      code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_NEXT);
    }
    if (code != MDB_NOTFOUND) check(code, "read");
  }

  PublicManifest point_of_key(ByteView key) {
    constexpr size_t kPointStart = MachineId::kSize + 8;
    if (key.size() != kPointStart + PointId::kSize) {
      throw Error(ErrorCode::corrupt, "the index has a time of a bad length");
    }
    auto point = find_point(id_of<PointId>(key.subspan(kPointStart)));
    if (!point) throw Error(ErrorCode::corrupt, "the index lists a point it does not know");
    return *point;
  }

  std::optional<PublicManifest> neighbour(const PublicManifest& place, MDB_cursor_op step) {
    Bytes wanted = index_format::timeline_key(place.machine, place.time_ms, place.id);
    Cursor cursor;
    check(mdb_cursor_open(txn_, tables_.timeline, &cursor.cursor), "read");
    MDB_val key = value_of(wanted), value;
    int code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_SET_RANGE);
    bool exact = code == MDB_SUCCESS && std::equal(wanted.begin(), wanted.end(), view_of(key).begin());
    if (step == MDB_PREV) {
      code = mdb_cursor_get(cursor.cursor, &key, &value, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    } else if (exact) {
      code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_NEXT);
    }
    if (code == MDB_NOTFOUND) return std::nullopt;
    check(code, "read");
    ByteView found = view_of(key);
    if (found.size() < MachineId::kSize || id_of<MachineId>(found.first(MachineId::kSize)) != place.machine) {
      return std::nullopt;
    }
    return point_of_key(found);
  }

  std::shared_ptr<Environment> environment_;
  const Tables& tables_;
  MDB_txn* txn_ = nullptr;
};

class LmdbIndex : public ChunkIndex {
 public:
  explicit LmdbIndex(std::shared_ptr<Environment> environment) : environment_(std::move(environment)) {}
  std::unique_ptr<IndexTransaction> read() override { return std::make_unique<Transaction>(environment_, false); }
  std::unique_ptr<IndexTransaction> write() override { return std::make_unique<Transaction>(environment_, true); }

 private:
  std::shared_ptr<Environment> environment_;
};

// Touches every page of every table.
bool walk_index(const std::string& directory, const StoreId& store) {
  try {
    auto index = ChunkIndex::open(directory, store, false);
    auto transaction = index->read();
    transaction->for_each_pack([](uint32_t, const PackEntry&) {});
    transaction->for_each_point([](const PublicManifest&) {});
    transaction->for_each_chunk([](const ChunkId&, const ChunkEntry&) {});
    transaction->pending_change();
    // Reads the list of free pages as well: a write transaction that frees nothing and is given up.
    auto write = index->write();
    write->number("epoch", 0);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

std::unique_ptr<ChunkIndex> ChunkIndex::open(const std::string& directory, const StoreId& store, bool create) {
  return std::make_unique<LmdbIndex>(shared_environment(directory, store, create));
}

bool index_is_whole(const std::string& directory, const StoreId& store) {
  {
    OpenEnvironments& open = open_environments();
    std::lock_guard lock(open.mutex);
    auto found = open.by_path.find(resolved_path(directory));
    // An environment must not be used across fork(); one that this process reads already was opened whole.
    if (found != open.by_path.end() && !found->second.expired()) return true;
  }
  pid_t child = ::fork();
  if (child < 0) throw base::system_error(errno, "cannot start a process to examine the index");
  if (child == 0) {
    for (int number : {SIGSEGV, SIGBUS, SIGABRT}) ::signal(number, SIG_DFL);
    ::close(2);  // LMDB tells of a failed assertion there; the caller reports it in words
    ::_exit(walk_index(directory, store) ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void leave_clean_mark(const std::string& directory) {
  base::FileSystem& files = base::real_file_system();
  base::write_file_durably(files, base::join_path(directory, kCleanMark), {});
}

bool take_clean_mark(const std::string& directory) {
  base::FileSystem& files = base::real_file_system();
  std::string path = base::join_path(directory, kCleanMark);
  if (!files.exists(path)) return false;
  files.remove(path);
  files.sync_directory(directory);
  return true;
}

void remove_index(const std::string& directory) {
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    std::string path = base::join_path(directory, name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw base::system_error(errno, "cannot remove " + path);
  }
}

}  // namespace images
