// What the headers of image formats say about other files. Bounded reads of untrusted bytes;
// layouts according to QEMU's docs/interop/qcow2.txt, block/qcow.c, block/qed.h, block/vmdk.c,
// block/vpc.c. Pure functions of the file's content; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace images {

struct ImageReferences {
  std::string base;                  // backing file or parent; empty: none
  std::string base_format;           // empty: the image does not state it
  std::string data_file;             // of a qcow2 image: where its content is; empty: in itself
  std::vector<std::string> extents;  // of a VMDK descriptor, in order
  uint64_t qcow2_cluster_size = 0;   // bytes; 0: not a qcow2 image, or an impossible one
};

// Throws unsupported for an encrypted image and a differencing VHD, corrupt for a header that
// contradicts itself. A file that is not of the format has no references: QEMU reports that better.
// `path` is for messages.
ImageReferences read_references(int fd, const std::string& format, const std::string& path);

// The version of a qcow2 image's header; 0 for other files, and for one that cannot be read. Opens
// the file without locks, so that a running QEMU is not disturbed.
uint32_t qcow2_version(const std::string& path);

// The format that the content begins like (fixed VHD: ends like), for a user who stated no format;
// none for anything else. It never determines the format: whoever writes a raw disk chooses how it
// begins.
std::optional<std::string> image_format_it_looks_like(int fd);

}  // namespace images
