#include "agent/scratch_space.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/state_layout.h"
#include "base/error.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace agent {
namespace {

// A full scratch disk makes QEMU fail the guest's writes: the sync is abandoned before that.
constexpr uint64_t kReserve = 256u << 20;
constexpr uint64_t kStatBlock = 512;

void give(const std::string& path, const std::optional<FileOwner>& owner) {
  if (owner && ::chown(path.c_str(), owner->user, owner->group) != 0)
    throw base::system_error(errno, "cannot give " + path + " to QEMU");
}

uint64_t free_size(const std::string& directory) {
  struct statvfs status;
  if (::statvfs(directory.c_str(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + directory);
  return uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace

ScratchSpace::ScratchSpace(const SyncPlace& place, const std::optional<FileOwner>& owner,
                           uint64_t limit)
    : place_(place), owner_(owner), limit_(limit),
      run_(place.run_directory, machine_file_name(place.machine_name)),
      scratch_(scratch_parent(place.state_directory), machine_file_name(place.machine_name)) {
  give(run_.path(), owner_);
  give(scratch_.path(), owner_);
  check();
}

void ScratchSpace::make(const std::string& disk, uint64_t size) {
  std::string file = path(disk);
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", file, std::to_string(size)});
  give(file, owner_);
  if (std::find(files_.begin(), files_.end(), file) == files_.end()) files_.push_back(file);
}

void ScratchSpace::check() const {
  uint64_t used = 0;
  struct stat status;
  for (const std::string& file : files_) {
    if (::stat(file.c_str(), &status) == 0)
      used += static_cast<uint64_t>(status.st_blocks) * kStatBlock;
  }
  if (limit_ != 0 && used > limit_) {
    throw base::Error(
        base::ErrorCode::no_space,
        fmt::format("the guest overwrote more than scratch_limit ({}) before its disks were "
                    "read: this sync of {} was abandoned; the guest is not affected",
                    base::format_size(limit_), place_.machine_name));
  }
  uint64_t room = free_size(scratch_.path());
  if (room >= kReserve) return;
  throw base::Error(
      base::ErrorCode::no_space,
      fmt::format("only {} are free in {} for blocks the guest overwrites during a sync; {} "
                  "must stay free",
                  base::format_size(room), scratch_parent(place_.state_directory),
                  base::format_size(kReserve)));
}

}  // namespace agent
