// What the headers of image formats say about other files. Bounded reads of a stranger's bytes;
// layouts by QEMU's docs/interop/qcow2.txt, block/qcow.c, block/qed.h, block/vmdk.c, block/vpc.c.
// Pure functions of the file's content; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace images {

struct ImageReferences {
  std::string base;                  // backing file or parent; empty: none
  std::string base_format;           // empty: the image does not tell
  std::string data_file;             // of a qcow2 image: where its content lies; empty: in itself
  std::vector<std::string> extents;  // of a VMDK descriptor, by their places in it
  uint64_t qcow2_cluster_size = 0;   // bytes; 0: not a qcow2 image, or an impossible one
};

// Throws unsupported for an encrypted image and a differencing VHD, corrupt for a header that
// contradicts itself. A file that is not of the format has no references: QEMU says it better.
// `path` is for messages.
ImageReferences read_references(int fd, const std::string& format, const std::string& path);

// What the content begins like (fixed VHD: ends like), for a person who told no format; none for
// anything else. Never what a file is: whoever writes a raw disk chooses what it begins with.
std::optional<std::string> image_format_it_looks_like(int fd);

}  // namespace images
