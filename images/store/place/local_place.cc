#include "images/store/place/local_place.h"

#include <set>

#include "base/error.h"
#include "base/file_place.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

class LocalBlobs : public BlobStore {
 public:
  LocalBlobs(base::FileSystem& files, const std::string& directory)
      : files_(files), directory_(directory) {}

  bool exists(const std::string& name) override { return files_.exists(path_of(name)); }
  base::Bytes get(const std::string& name, uint64_t limit) override {
    return base::read_file(files_, path_of(name), limit);
  }
  std::unique_ptr<base::ReadableFile> open(const std::string& name) override {
    return files_.open(path_of(name));
  }
  std::vector<std::string> list(const std::string& folder) override {
    return files_.list(path_of(folder));
  }

  std::vector<std::string> list_tidied(const std::string& folder) override {
    std::string path = path_of(folder);
    std::vector<std::string> names;
    for (std::string& name : files_.list(path)) {
      if (layout::is_leftover(name)) files_.remove(base::join_path(path, name));
      else names.push_back(std::move(name));
    }
    return names;
  }

  void put(const std::string& name, base::ByteView bytes) override {
    std::string path = path_of(name);
    if (name.find('/') != std::string::npos)
      base::make_directory_durably(files_, base::parent_path(path));
    base::write_file_durably(files_, path, bytes);
  }

  bool replace(const std::string& name, base::ByteView, base::ByteView bytes) override {
    base::write_file_durably(files_, path_of(name), bytes);
    return true;
  }

  void remove(const std::string& name) override {
    try {
      files_.remove(path_of(name));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
    }
  }

  void sync_names(const std::string& folder) override { files_.sync_directory(path_of(folder)); }

 private:
  std::string path_of(const std::string& name) const { return base::join_path(directory_, name); }

  base::FileSystem& files_;
  const std::string& directory_;
};

class LocalPack : public PackWriter {
 public:
  // `shard` is synced with the first flush; empty: its names are durable already.
  LocalPack(base::FileSystem& files, std::unique_ptr<base::WritableFile> file, std::string shard)
      : files_(files), file_(std::move(file)), shard_(std::move(shard)) {}

  uint64_t size() const override { return file_->size(); }
  void append(base::ByteView bytes) override { file_->append(bytes); }

  void flush() override {
    file_->sync();
    if (shard_.empty()) return;
    files_.sync_directory(shard_);
    // Even if the shard existed already: its creator may have died before this.
    files_.sync_directory(base::parent_path(shard_));
    shard_.clear();
  }

 private:
  base::FileSystem& files_;
  std::unique_ptr<base::WritableFile> file_;
  std::string shard_;
};

class LocalPacks : public PackStore {
 public:
  LocalPacks(base::FileSystem& files, const std::string& directory)
      : files_(files), directory_(directory) {}

  bool grow() const override { return true; }

  std::unique_ptr<PackWriter> create(const PackId& pack, NameDurable when) override {
    std::string shard = layout::pack_shard(directory_, pack);
    std::string path = layout::pack_file(directory_, pack);
    if (when == NameDurable::at_flush) {
      files_.make_directory(shard);
      return std::make_unique<LocalPack>(files_, files_.create(path), std::move(shard));
    }
    base::make_directory_durably(files_, shard);
    auto file = files_.create(path);
    files_.sync_directory(shard);
    return std::make_unique<LocalPack>(files_, std::move(file), "");
  }

  // Its writer may have died before the fsync of the file or of its folder: what can be read need
  // not be durable.
  std::unique_ptr<PackWriter> take_over(const PackId& pack, uint64_t size) override {
    std::string shard = layout::pack_shard(directory_, pack);
    base::make_directory_durably(files_, shard);
    files_.sync_directory(shard);
    return std::make_unique<LocalPack>(
        files_, files_.reopen(layout::pack_file(directory_, pack), size), "");
  }

  void truncate(const PackId& pack, uint64_t size) override {
    files_.reopen(layout::pack_file(directory_, pack), size)->sync();
  }

 private:
  base::FileSystem& files_;
  const std::string& directory_;
};

// A flock ends with the process and not before.
class BlobLease : public Lease {
 public:
  explicit BlobLease(std::unique_ptr<base::FileLock> lock) : lock_(std::move(lock)) {}
  bool is_held() const override { return true; }
  void require_held() const override {}

 private:
  std::unique_ptr<base::FileLock> lock_;
};

// Open packs and the open index belong to the disk they were opened on; a manifest is written by
// name. So nothing is published under a name that now means another folder.
class WriterLease : public Lease {
 public:
  WriterLease(std::unique_ptr<base::FileLock> lock, const std::string& path, std::string directory)
      : lock_(std::move(lock)), place_(path), directory_(std::move(directory)) {}

  bool is_held() const override { return place_.is_current(); }
  void require_held() const override {
    if (is_held()) return;
    throw Error(ErrorCode::unavailable,
                "the store in " + directory_ +
                    " is no longer where it was opened: its disk was unmounted, or another one "
                    "is mounted over it. Nothing was saved; mount it again");
  }

 private:
  std::unique_ptr<base::FileLock> lock_;
  const base::FilePlace place_;  // of the file that is locked
  const std::string directory_;
};

class LocalLeases : public Leases {
 public:
  LocalLeases(base::FileSystem& files, const std::string& directory)
      : files_(files), directory_(directory) {}

  std::unique_ptr<Lease> writer() override {
    std::string path = layout::writer_lock(directory_);
    try {
      auto lock = files_.lock(path, base::LockKind::exclusive);
      return std::make_unique<WriterLease>(std::move(lock), path, directory_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy) throw;
      throw Error(ErrorCode::busy, "another process writes to the store in " + directory_);
    }
  }
  std::unique_ptr<Lease> shared(const std::string& name) override {
    return lease(name, base::LockKind::shared);
  }
  std::unique_ptr<Lease> exclusive(const std::string& name) override {
    return lease(name, base::LockKind::exclusive);
  }

 private:
  std::unique_ptr<Lease> lease(const std::string& name, base::LockKind kind) {
    return std::make_unique<BlobLease>(files_.lock(base::join_path(directory_, name), kind));
  }

  base::FileSystem& files_;
  const std::string& directory_;
};

class LocalPlace : public StorePlace {
 public:
  LocalPlace(base::FileSystem& files, const std::string& directory)
      : files_(files), directory_(directory), blobs_(files, directory_), packs_(files, directory_),
        leases_(files, directory_) {}

  const std::string& location() const override { return directory_; }
  std::string index_directory() const override { return layout::index_directory(directory_); }

  void create(std::span<const NewBlob> blobs) override {
    files_.make_directory(directory_);
    expect_room();
    files_.make_directory(layout::packs_directory(directory_));
    files_.make_directory(layout::points_directory(directory_));
    for (const NewBlob& blob : blobs.first(blobs.size() - 1)) blobs_.put(blob.name, blob.bytes);
    std::string lock = layout::writer_lock(directory_);
    if (!files_.exists(lock)) files_.create(lock);
    blobs_.put(blobs.back().name, blobs.back().bytes);
    files_.sync_directory(base::parent_path(directory_));
  }

  BlobStore& blobs() override { return blobs_; }
  PackStore& packs() override { return packs_; }
  Leases& leases() override { return leases_; }

 private:
  // The folder may contain what an interrupted create() left there, and nothing else.
  void expect_room() {
    static const std::set<std::string> kOurs{"key",    "key.tmp",   "packs",
                                             "points", "store.tmp", "writer.lock"};
    for (const std::string& name : files_.list(directory_)) {
      bool is_folder = name == "packs" || name == "points";
      if (kOurs.count(name) != 0 &&
          (!is_folder || files_.list(base::join_path(directory_, name)).empty()))
        continue;
      throw Error(
          ErrorCode::already_exists,
          directory_ + (name == "store" ? " is a store already"
                                        : " is not empty; a store needs a folder of its own"));
    }
  }

  base::FileSystem& files_;
  const std::string directory_;
  LocalBlobs blobs_;
  LocalPacks packs_;
  LocalLeases leases_;
};

}  // namespace

std::unique_ptr<StorePlace> local_place(base::FileSystem& files, const std::string& directory) {
  return std::make_unique<LocalPlace>(files, directory);
}

}  // namespace images
