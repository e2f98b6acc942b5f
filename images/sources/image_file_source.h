// Image files as disks: raw files and block devices are read directly, differencing VHD and VHDX
// files by a reader of our own (differencing_chain.h), every other format that QEMU knows through a
// private, read-only qemu-nbd that sees only the image's own files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "images/disk_source.h"

namespace images {

struct ImageOptions {
  // "raw", "qcow2", "vmdk", "vhdx", "vdi", …; empty: raw, and a file that begins like an image of
  // another format is refused until someone states which of the two it is. Never guessed: a guest
  // can write anything to the start of its raw disk, including names of this host's files.
  std::string format;
  // Where a private folder for the socket is created; it must exist. Empty: TMPDIR, or /tmp.
  std::string runtime_directory;
  std::string dirty_bitmap;  // of a qcow2 image: what it does not mark is `unchanged`; empty: none
  // Files, or folders with all below, that the image may be built on besides its own folder
  // (images/sources/image_chain.h).
  std::vector<std::string> allowed{};
  // Reads even if another program may be writing: the caller finds out afterwards whether one was.
  bool share_with_writers = false;
  uint32_t connection_count = 4;
  // The image is this part of the file, an archive's member; size 0: the whole file. The format
  // must be stated then.
  uint64_t part_offset = 0;  // bytes
  uint64_t part_size = 0;
};

struct ImageSource {
  std::unique_ptr<DiskSource> disk;
  std::string format;  // the format it is read in
  // All files it is read from: itself, those it is built on, those its content is in.
  std::vector<std::string> files;
};

// Opens an image for reading. Throws not_found, unauthorized, busy (another program writes to it),
// unsupported (encrypted, unknown format, a file that is not in its format), and invalid_argument
// for a file that begins like another format, and for an image that refers to a file outside its
// folder that was not allowed. The qemu-nbd ends with the disk, with this process, and with the
// calling thread: call it from a thread that lives as long as the disk.
ImageSource open_image_source(const std::string& path, const ImageOptions& options = {});

// The names of the bitmaps in the qcow2 image at `path` itself, not in one it is built on. Throws as
// open_image_source() and io.
std::vector<std::string> bitmap_names(const std::string& path, const ImageOptions& options);

// True if the qcow2 image at `path` itself, not one it is built on, has the dirty bitmap, intact
// and switched on. Throws as open_image_source() and io.
bool has_sound_bitmap(const std::string& path, const std::string& bitmap,
                      const ImageOptions& options);

// The formats of disks, from arguments of a command line: "qcow2" applies to all of them,
// "vda=qcow2" to that disk. Throws invalid_argument for a missing disk and for two arguments about
// one.
std::map<std::string, std::string> formats_of_disks(const std::vector<std::string>& words,
                                                    const std::vector<std::string>& disks);

}  // namespace images
