// The LMDB environment behind a ChunkIndex, and LMDB's errors as base::Error. Only the index's own
// .cc files include this header. Thread-safe: immutable once created.
#pragma once

#include <lmdb.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "images/ids.h"

namespace images::index {

// Throws base::Error unless `code` is MDB_SUCCESS; `action` completes "cannot …".
void check(int code, const std::string& action);

MDB_val value_of(base::ByteView bytes);
base::ByteView view_of(const MDB_val& value);

// Throws corrupt if the key has another length.
template <typename AnyId>
AnyId id_of(base::ByteView bytes);

struct Tables {
  MDB_dbi chunks = 0, packs = 0, points = 0, timeline = 0, departures = 0, facts = 0;
};

class Environment {
 public:
  // Throws not_found, corrupt; with `create` it creates what is missing.
  Environment(const std::string& directory, const StoreId& store, bool create);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  MDB_env* get() const { return env_; }
  const Tables& tables() const { return tables_; }
  // Differs from that of every other environment of this process.
  uint64_t incarnation() const { return incarnation_; }
  // Whether the data file in `directory` is still the one that was opened.
  bool is_current(const std::string& directory) const;

 private:
  void open(const std::string& directory, bool create);
  int try_open(const std::string& directory, unsigned flags);  // LMDB's code
  void check_length(const std::string& data);
  void open_tables(const StoreId& store, bool create);
  void check_owner(MDB_txn* txn, const StoreId& store, bool create);

  MDB_env* env_ = nullptr;
  Tables tables_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uint64_t incarnation_;
};

// LMDB allows one opening of an environment per process (its locks belong to the process): so all
// openings of one folder share an object, until a rebuild has replaced the file.
std::shared_ptr<Environment> shared_environment(const std::string& directory, const StoreId& store,
                                                bool create);

// Whether this process has the index there open.
bool is_open_here(const std::string& directory);

template <typename AnyId>
AnyId id_of(base::ByteView bytes) {
  AnyId id;
  check(bytes.size() == AnyId::kSize ? MDB_SUCCESS : MDB_CORRUPTED, "read a key of a bad length");
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

}  // namespace images::index
