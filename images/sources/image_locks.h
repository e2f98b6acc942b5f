// QEMU's locks on image files (docs/system/qemu-block-drivers, "Disk image file locking"): whoever has
// an image open holds locks on bytes of it that tell what it may do. Thread-safe.
#pragma once

namespace images {

// True while a QEMU or qemu-nbd on this machine has the file open for writing, also if its guest is
// paused. `fd` is open for reading. False if the file system has no such locks.
bool has_qemu_writer(int fd);

// The same for any use, reading included. `fd` is open for reading.
bool is_open_in_qemu(int fd);

}  // namespace images
