#include "images/store/index/index_environment.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/file_system.h"

namespace images::index {
namespace {

using base::Error;
using base::ErrorCode;

// Address space, not disk: the file grows with its content. 64 TiB of distinct chunks need about
// 100 GiB.
constexpr size_t kMapSize = 512ull << 30;
constexpr unsigned kMaxReaders = 4096;

std::string data_file(const std::string& directory) {
  return base::join_path(directory, "data.mdb");
}

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

}  // namespace

void check(int code, const std::string& action) {
  if (code == MDB_SUCCESS) return;
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

MDB_val value_of(base::ByteView bytes) {
  return {bytes.size(), const_cast<uint8_t*>(bytes.data())};
}
base::ByteView view_of(const MDB_val& value) {
  return {static_cast<const uint8_t*>(value.mv_data), value.mv_size};
}

Environment::Environment(const std::string& directory, const StoreId& store, bool create) {
  static std::atomic<uint64_t> count{0};
  incarnation_ = ++count;
  try {
    open(directory, create);
    open_tables(store, create);
  } catch (...) {
    if (env_ != nullptr) mdb_env_close(env_);
    throw;
  }
}

Environment::~Environment() { mdb_env_close(env_); }

void Environment::open(const std::string& directory, bool create) {
  std::string data = data_file(directory);
  struct stat status;
  if (::stat(data.c_str(), &status) != 0 && !create) {
    throw Error(ErrorCode::not_found, "there is no index in " + directory);
  }
  unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
  int code = try_open(directory, flags);
  if ((code == EROFS || code == EACCES) && !create) {
    // A store on read-only media has no writer, so no lock is needed.
    code = try_open(directory, flags | MDB_RDONLY | MDB_NOLOCK);
  }
  check(code, "open " + directory);
  check_length(data);
  int stale = 0;
  mdb_reader_check(env_, &stale);  // slots of readers that were killed
}

// With a new environment each time: one that failed to open can only be closed.
int Environment::try_open(const std::string& directory, unsigned flags) {
  if (env_ != nullptr) mdb_env_close(env_);
  env_ = nullptr;
  check(mdb_env_create(&env_), "start");
  check(mdb_env_set_maxdbs(env_, 8), "configure");
  check(mdb_env_set_maxreaders(env_, kMaxReaders), "configure");
  check(mdb_env_set_mapsize(env_, kMapSize), "configure");
  return mdb_env_open(env_, directory.c_str(), flags, 0640);
}

// A file shorter than its pages would end this process with SIGBUS.
void Environment::check_length(const std::string& data) {
  MDB_envinfo info;
  MDB_stat stat;
  check(mdb_env_info(env_, &info), "examine");
  check(mdb_env_stat(env_, &stat), "examine");
  struct stat status;
  if (::stat(data.c_str(), &status) != 0) throw base::system_error(errno, "cannot examine " + data);
  if (static_cast<uint64_t>(status.st_size) < (info.me_last_pgno + 1) * stat.ms_psize) {
    throw Error(ErrorCode::corrupt, "the index " + data + " is cut short");
  }
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

bool Environment::is_current(const std::string& directory) const {
  struct stat status;
  if (::stat(data_file(directory).c_str(), &status) != 0) return false;
  return status.st_dev == device_ && status.st_ino == inode_;
}

void Environment::open_tables(const StoreId& store, bool create) {
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(env_, nullptr, create ? 0 : MDB_RDONLY, &txn), "begin");
  try {
    unsigned flags = create ? MDB_CREATE : 0;
    check(mdb_dbi_open(txn, "chunks", flags, &tables_.chunks), "open its table of chunks");
    check(mdb_dbi_open(txn, "packs", flags, &tables_.packs), "open its table of packs");
    check(mdb_dbi_open(txn, "points", flags, &tables_.points), "open its table of points");
    check(mdb_dbi_open(txn, "timeline", flags, &tables_.timeline), "open its table of times");
    check(mdb_dbi_open(txn, "departures", flags, &tables_.departures),
          "open its table of departures");
    check(mdb_dbi_open(txn, "facts", flags, &tables_.facts), "open its table of facts");
    check_owner(txn, store, create);
  } catch (const Error& error) {
    mdb_txn_abort(txn);
    // Without its tables it is not an index: incomplete, or another program's.
    if (error.code() == ErrorCode::io) throw Error(ErrorCode::corrupt, error.message());
    throw;
  }
  check(mdb_txn_commit(txn), "commit");
}

void Environment::check_owner(MDB_txn* txn, const StoreId& store, bool create) {
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

std::shared_ptr<Environment> shared_environment(const std::string& directory, const StoreId& store,
                                                bool create) {
  OpenEnvironments& open = open_environments();
  std::lock_guard lock(open.mutex);
  auto& slot = open.by_path[resolved_path(directory)];
  auto existing = slot.lock();
  if (existing && existing->is_current(directory)) return existing;
  auto made = std::make_shared<Environment>(directory, store, create);
  slot = made;
  return made;
}

bool is_open_here(const std::string& directory) {
  OpenEnvironments& open = open_environments();
  std::lock_guard lock(open.mutex);
  auto found = open.by_path.find(resolved_path(directory));
  if (found == open.by_path.end()) return false;
  auto existing = found->second.lock();
  return existing && existing->is_current(directory);
}

}  // namespace images::index
