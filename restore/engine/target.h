// What a disk is restored onto: a regular file that is a raw image, or a block device. It is opened
// once, and everything that is found out about it, and written to it, goes through that descriptor:
// a path that leads elsewhere a moment later changes nothing.
//
// While a Target exists, nothing else can take it: a block device is opened exclusively (no mount,
// no volume group), and on a file lie QEMU's locks, so that no QEMU on this machine opens it.
//
// Thread-safe: read(), write(), write_zeros() and extents() by any number of threads at once, the
// rest by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "images/disk_source.h"

namespace restore {

enum class TargetKind { file, device };

enum class TargetAccess {
  direct,  // past the page cache where the file system can do that
  cached,  // always through it
};

class Target {
 public:
  // A symbolic link is followed. Creates nothing. Throws not_found; invalid_argument (a folder, a
  // pipe, …); busy, with a sentence that says by whom, if it is mounted or otherwise used
  // (find_uses in target_use.h), or open in a QEMU; unauthorized, io.
  static Target open(const std::string& path, TargetAccess access = TargetAccess::direct);
  // A new, empty file, `mode` 0640. Throws already_exists and as open().
  static Target create(const std::string& path);

  const std::string& path() const { return path_; }
  TargetKind kind() const { return kind_; }
  int fd() const { return fd_.get(); }
  uint64_t size() const { return size_; }  // bytes

  // A file gets this length (new bytes are zeros); a device must have it already (CHECK).
  void resize(uint64_t size);

  // The extents of [offset, offset + length), as images::DiskSource::extents(): `zero` is a hole of
  // a file and reads as zeros; `data` must be read.
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) const;

  // Fills `out` from the medium, past the page cache where the file system can do that; otherwise
  // through the cache, which drop_cache() empties. Without a copy if `offset` and the memory are
  // aligned to base::kDirectBlockSize. Throws io.
  void read(uint64_t offset, base::MutableByteView out) const;
  // Throws io, no_space. Durable after sync().
  void write(uint64_t offset, base::ByteView bytes);
  // The range reads as zeros afterwards: a hole of a file, and on a device what the kernel promises
  // to read as zeros (never a mere discard); written where neither is possible.
  void write_zeros(uint64_t offset, uint64_t length);
  void sync();        // throws io, no_space
  void drop_cache();  // clean pages only: sync() first

 private:
  Target(std::string path, base::UniqueFd fd, TargetAccess access);
  void take_qemu_locks();
  void open_direct();

  std::string path_;
  base::UniqueFd fd_;
  base::UniqueFd direct_;  // the same, past the page cache; none if that is not supported
  TargetKind kind_ = TargetKind::file;
  uint64_t size_ = 0;
};

}  // namespace restore
