#include "images/files/readers/ntfs_disk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <exception>

// After the C++ library's: types.h defines macros of common names.
extern "C" {
#include <ntfs-3g/types.h>
// Needs that:
#include <ntfs-3g/device.h>
}
#undef min
#undef max

namespace images::files {
namespace {

NtfsDisk& state_of(ntfs_device* device) { return *static_cast<NtfsDisk*>(device->d_private); }

int open_device(ntfs_device* device, int) {
  NDevSetOpen(device);
  NDevSetReadOnly(device);
  return 0;
}
int close_device(ntfs_device* device) {
  NDevClearOpen(device);
  return 0;
}
s64 seek_device(ntfs_device* device, s64 offset, int whence) {
  NtfsDisk& state = state_of(device);
  s64 base_place = whence == SEEK_CUR   ? state.place
                   : whence == SEEK_END ? static_cast<s64>(state.disk->size())
                                        : 0;
  if (base_place + offset < 0) {
    errno = EINVAL;
    return -1;
  }
  return state.place = base_place + offset;
}
s64 read_device_at(ntfs_device* device, void* to, s64 count, s64 offset) {
  DiskSource& disk = *state_of(device).disk;
  if (offset < 0 || count < 0 || static_cast<uint64_t>(offset) >= disk.size()) return 0;
  uint64_t size =
      std::min(static_cast<uint64_t>(count), disk.size() - static_cast<uint64_t>(offset));
  try {
    disk.read(static_cast<uint64_t>(offset), {static_cast<uint8_t*>(to), size});
    return static_cast<s64>(size);
  } catch (const std::exception&) {
    errno = EIO;
    return -1;
  }
}
s64 read_device(ntfs_device* device, void* to, s64 count) {
  NtfsDisk& state = state_of(device);
  s64 done = read_device_at(device, to, count, state.place);
  if (done > 0) state.place += done;
  return done;
}
s64 write_device(ntfs_device*, const void*, s64) {
  errno = EROFS;
  return -1;
}
s64 write_device_at(ntfs_device*, const void*, s64, s64) {
  errno = EROFS;
  return -1;
}
int sync_device(ntfs_device*) { return 0; }
int stat_device(ntfs_device* device, struct stat* out) {
  *out = {};
  out->st_mode = S_IFREG | 0400;
  out->st_size = static_cast<off_t>(state_of(device).disk->size());
  return 0;
}
int control_device(ntfs_device*, unsigned long, void*) {
  errno = EOPNOTSUPP;
  return -1;
}

ntfs_device_operations* operations() {
  static ntfs_device_operations made{open_device,  close_device,   seek_device,     read_device,
                                     write_device, read_device_at, write_device_at, sync_device,
                                     stat_device,  control_device};
  return &made;
}

}  // namespace

ntfs_device* make_ntfs_device(NtfsDisk& disk) {
  return ntfs_device_alloc("disk", 0, operations(), &disk);
}

}  // namespace images::files
