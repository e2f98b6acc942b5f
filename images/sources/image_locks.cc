#include "images/sources/image_locks.h"

#include <fcntl.h>

namespace images {
namespace {

// Byte 100 + the number of a permission: held by whoever has that permission.
constexpr off_t kWriteLock = 100 + 1;

}  // namespace

bool has_qemu_writer(int fd) {
  struct flock probe {};
  probe.l_type = F_WRLCK;
  probe.l_whence = SEEK_SET;
  probe.l_start = kWriteLock;
  probe.l_len = 1;
  return ::fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
}

}  // namespace images
