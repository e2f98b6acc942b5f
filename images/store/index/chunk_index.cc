#include "images/store/index/chunk_index.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/guarded.h"
#include "images/format/index_format.h"
#include "images/store/index/index_environment.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using format::PublicManifest;
using index::check;
using index::Environment;
using index::id_of;
using index::Tables;
using index::value_of;
using index::view_of;

constexpr const char* kCleanMark = "closed";

Bytes key_of(uint32_t number) {
  // Big-endian, so that rows sort by number.
  return {static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16),
          static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
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

  uint64_t incarnation() override { return environment_->incarnation(); }

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
    return index_format::decode_pack(number, *bytes);
  }

  void for_each_pack(const std::function<void(uint32_t, const PackEntry&)>& visit) override {
    for_each(tables_.packs, {}, [&](ByteView key, ByteView value) {
      if (key.size() != 4)
        throw Error(ErrorCode::corrupt, "the index has a pack number of a bad length");
      uint32_t number =
          uint32_t{key[0]} << 24 | uint32_t{key[1]} << 16 | uint32_t{key[2]} << 8 | key[3];
      visit(number, index_format::decode_pack(number, value));
      return true;
    });
  }

  void for_each_chunk(
      const std::function<void(const ChunkId&, const ChunkEntry&)>& visit) override {
    for_each(tables_.chunks, {}, [&](ByteView key, ByteView value) {
      ChunkId id = id_of<ChunkId>(key);
      visit(id, index_format::decode_chunk(id, value));
      return true;
    });
  }

  std::optional<PublicManifest> find_point(const PointId& id) override {
    auto bytes = get(tables_.points, id.view());
    if (!bytes) return std::nullopt;
    PublicManifest point = index_format::decode_point(*bytes);
    if (point.id != id) throw Error(ErrorCode::corrupt, "the index has a point under another's id");
    return point;
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

  std::vector<std::pair<uint64_t, TimelineChange>> departures(size_t limit) override {
    std::vector<std::pair<uint64_t, TimelineChange>> found;
    for_each(tables_.departures, {}, [&](ByteView key, ByteView value) {
      if (found.size() == limit) return false;
      found.emplace_back(index_format::departure_number(key), index_format::decode_change(value));
      return true;
    });
    return found;
  }

  uint64_t departure_count() override {
    MDB_stat stat;
    check(mdb_stat(txn_, tables_.departures, &stat), "examine");
    return stat.ms_entries;
  }

  uint64_t number(const char* name, uint64_t fallback) override {
    auto bytes = get(tables_.facts, base::as_bytes(name));
    if (!bytes) return fallback;
    return index_format::decode_number(name, *bytes);
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
    put(tables_.packs, key_of(number), index_format::encode_pack(number, entry));
  }
  void erase_pack(uint32_t number) override { erase(tables_.packs, key_of(number)); }

  void put_point(const PublicManifest& point) override {
    put(tables_.points, point.id.view(), index_format::encode_point(point));
    put(tables_.timeline, index_format::timeline_key(point), {});
  }
  void erase_point(const PublicManifest& point) override {
    erase(tables_.points, point.id.view());
    erase(tables_.timeline, index_format::timeline_key(point));
  }

  void set_pending_change(const std::optional<TimelineChange>& change) override {
    if (change) put(tables_.facts, base::as_bytes("change"), index_format::encode_change(*change));
    else erase(tables_.facts, base::as_bytes("change"));
  }

  void add_departure(const TimelineChange& change) override {
    Cursor cursor;
    check(mdb_cursor_open(txn_, tables_.departures, &cursor.cursor), "read");
    MDB_val key, value;
    int code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_LAST);
    if (code != MDB_NOTFOUND) check(code, "read");
    uint64_t last = code == MDB_NOTFOUND ? 0 : index_format::departure_number(view_of(key));
    put(tables_.departures, index_format::departure_key(last + 1),
        index_format::encode_change(change));
  }
  void erase_departure(uint64_t number) override {
    erase(tables_.departures, index_format::departure_key(number));
  }

  void set_number(const char* name, uint64_t value) override {
    put(tables_.facts, base::as_bytes(name), index_format::encode_number(name, value));
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
  void for_each(MDB_dbi table, ByteView start,
                const std::function<bool(ByteView, ByteView)>& visit) {
    Cursor cursor;
    check(mdb_cursor_open(txn_, table, &cursor.cursor), "read");
    MDB_val key = value_of(start), value;
    int code =
        mdb_cursor_get(cursor.cursor, &key, &value, start.empty() ? MDB_FIRST : MDB_SET_RANGE);
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
    bool good = point && std::ranges::equal(index_format::timeline_key(*point), key);
    if (!good) throw Error(ErrorCode::corrupt, "the index lists a point it does not know");
    return *point;
  }

  std::optional<PublicManifest> neighbour(const PublicManifest& place, MDB_cursor_op step) {
    Bytes wanted = index_format::timeline_key(place);
    Cursor cursor;
    check(mdb_cursor_open(txn_, tables_.timeline, &cursor.cursor), "read");
    MDB_val key = value_of(wanted), value;
    int code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_SET_RANGE);
    bool exact =
        code == MDB_SUCCESS && std::equal(wanted.begin(), wanted.end(), view_of(key).begin());
    if (step == MDB_PREV) {
      code =
          mdb_cursor_get(cursor.cursor, &key, &value, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    } else if (exact) {
      code = mdb_cursor_get(cursor.cursor, &key, &value, MDB_NEXT);
    }
    if (code == MDB_NOTFOUND) return std::nullopt;
    check(code, "read");
    ByteView found = view_of(key);
    if (found.size() < MachineId::kSize ||
        id_of<MachineId>(found.first(MachineId::kSize)) != place.machine) {
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
  LmdbIndex(const std::string& directory, const StoreId& store,
            std::shared_ptr<Environment> environment)
      : directory_(directory), store_(store), environment_(std::move(environment)) {}

  std::unique_ptr<IndexTransaction> read() override {
    return std::make_unique<Transaction>(current(), false);
  }
  std::unique_ptr<IndexTransaction> write() override {
    return std::make_unique<Transaction>(current(), true);
  }

  bool refresh() override {
    if (current()->is_current(directory_)) return false;
    auto fresh = index::shared_environment(directory_, store_, false);
    if (Transaction(fresh, false).number("rebuilding", 0) != 0) return false;
    *environment_.lock() = fresh;
    return true;
  }

 private:
  std::shared_ptr<Environment> current() { return *environment_.lock(); }

  std::string directory_;
  StoreId store_;
  base::Guarded<std::shared_ptr<Environment>> environment_;
};

}  // namespace

std::unique_ptr<ChunkIndex> ChunkIndex::open(const std::string& directory, const StoreId& store,
                                             bool create) {
  return std::make_unique<LmdbIndex>(directory, store,
                                     index::shared_environment(directory, store, create));
}

std::unique_ptr<ChunkIndex> ChunkIndex::open_alone(const std::string& directory,
                                                   const StoreId& store) {
  return std::make_unique<LmdbIndex>(directory, store,
                                     std::make_shared<Environment>(directory, store, false));
}

namespace {

// Shows whether the file was written, replaced or truncated since.
std::string stamp_of(const std::string& directory) {
  std::string path = base::join_path(directory, "data.mdb");
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) throw base::system_error(errno, "cannot examine " + path);
  return fmt::format("{} {} {}.{:09}", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

}  // namespace

void leave_clean_mark(const std::string& directory) {
  std::string stamp = stamp_of(directory);
  base::write_file_durably(base::real_file_system(), base::join_path(directory, kCleanMark),
                           base::as_bytes(stamp));
}

bool take_clean_mark(const std::string& directory) {
  base::FileSystem& files = base::real_file_system();
  std::string path = base::join_path(directory, kCleanMark);
  if (!files.exists(path)) return false;
  base::Bytes mark = base::read_file(files, path, 4096);
  files.remove(path);
  files.sync_directory(directory);
  return files.exists(base::join_path(directory, "data.mdb")) &&
         base::as_text(mark) == stamp_of(directory);
}

void remove_index(const std::string& directory) {
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    std::string path = base::join_path(directory, name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      throw base::system_error(errno, "cannot remove " + path);
  }
}

}  // namespace images
