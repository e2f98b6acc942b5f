// The files in which QEMU saves the blocks that a guest overwrites during a sync, and the run folder
// for its socket. Owned by QEMU's user. Removed with this object. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/sync_place.h"
#include "base/scratch_directory.h"

namespace agent {

struct FileOwner {
  uid_t user = 0;
  gid_t group = 0;
};

class ScratchSpace {
 public:
  // `owner` none: this process's. `limit` of scratch_limit in bytes, 0: none. Throws no_space if
  // there is too little room already.
  ScratchSpace(const SyncPlace& place, const std::optional<FileOwner>& owner, uint64_t limit);

  // Makes an empty qcow2 file for a disk of `size` bytes, in place of an earlier one.
  void make(const std::string& disk, uint64_t size);
  std::string path(const std::string& disk) const {
    return scratch_.path() + "/" + disk + ".qcow2";
  }
  std::string socket_path() const { return run_.path() + "/nbd.sock"; }

  // Throws no_space, for people, if the guest has overwritten more than the limit, or the disk is
  // nearly full: then QEMU would soon make the guest's own writes fail.
  void check() const;

 private:
  SyncPlace place_;
  std::optional<FileOwner> owner_;
  uint64_t limit_;
  base::ScratchDirectory run_;
  base::ScratchDirectory scratch_;
  std::vector<std::string> files_;
};

}  // namespace agent
