// Image files as disks: raw files and block devices are read directly, every other format that QEMU
// knows through a private, read-only qemu-nbd.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "images/disk_source.h"

namespace images {

struct ImageOptions {
  // "raw", "qcow2", "vmdk", "vhdx", "vdi", …; empty: found by the file's content. A raw disk's
  // guest can write whatever it likes at its start, so a caller that knows the format must say it.
  std::string format;
  // Where a private folder for the socket is made; it exists. Empty: TMPDIR, or /tmp.
  std::string runtime_directory;
  std::string dirty_bitmap;  // of a qcow2 image: what it does not mark is `unchanged`; empty: none
  // Reads although another program may be writing: the caller finds out afterwards whether one was.
  bool share_with_writers = false;
  uint32_t connection_count = 4;
};

struct ImageSource {
  std::unique_ptr<DiskSource> disk;
  std::string format;     // the one it is read as
  bool detected = false;  // the format was found, not told
};

// Opens an image for reading. Throws not_found, unauthorized, busy (another program writes to it),
// unsupported (encrypted, unknown format), and invalid_argument when the format was to be found and
// the image builds on another file: following a name that a guest may have written is for the
// caller to allow. The qemu-nbd ends with the disk, with this process, and with the calling thread:
// call it from one that lives as long as the disk.
ImageSource open_image_source(const std::string& path, const ImageOptions& options = {});

}  // namespace images
