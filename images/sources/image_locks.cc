#include "images/sources/image_locks.h"

#include <fcntl.h>

namespace images {
namespace {

// Byte 100 + the number of a permission is held by whoever has that permission, byte 200 + its
// number by whoever forbids it to others.
constexpr off_t kWriteLock = 100 + 1, kFirstLock = 100, kLockCount = 200;

bool is_any_locked(int fd, off_t first, off_t count) {
  struct flock probe {};
  probe.l_type = F_WRLCK;
  probe.l_whence = SEEK_SET;
  probe.l_start = first;
  probe.l_len = count;
  return ::fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
}

}  // namespace

bool has_qemu_writer(int fd) { return is_any_locked(fd, kWriteLock, 1); }

bool is_open_in_qemu(int fd) { return is_any_locked(fd, kFirstLock, kLockCount); }

}  // namespace images
