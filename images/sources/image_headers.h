// What the headers of image formats say about other files. Bounded reads of untrusted bytes;
// layouts according to QEMU's docs/interop/qcow2.txt, block/qcow.c, block/qed.h, block/vmdk.c,
// block/vpc.c. Pure functions of the file's content; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace images {

// A file, or the part of one that an archive keeps an image in. The descriptor belongs to someone
// else.
struct FilePart {
  int fd = -1;
  uint64_t offset = 0;         // bytes
  uint64_t size = UINT64_MAX;  // bytes; ends earlier if the file does
};
// Bytes of it that there are.
uint64_t size_of(const FilePart& part);
// At most `size` bytes from `offset` in it; fewer, or none, at its end. Throws io.
std::string read_text(const FilePart& part, uint64_t offset, uint64_t size);

struct ImageReferences {
  std::string base;                  // backing file or parent; empty: none
  std::string base_format;           // empty: the image does not state it
  std::string data_file;             // of a qcow2 image: where its content is; empty: in itself
  std::vector<std::string> extents;  // of a VMDK descriptor, in order
  // For each of these, the bytes that its file must have; 0: it is checked by its own header.
  std::vector<uint64_t> extent_sizes;
  uint64_t qcow2_cluster_size = 0;  // bytes; 0: not a qcow2 image, or an impossible one
};

// Throws unsupported for an encrypted image, a differencing VHD or VHDX, and a VMDK of a kind that
// QEMU cannot read or would read wrongly; corrupt for a header that contradicts itself and for a
// VMDK that is cut off. A file that is not of the format has no references: QEMU reports that
// better. `path` is for messages.
ImageReferences read_references(const FilePart& part, const std::string& format,
                                const std::string& path);

// The version of a qcow2 image's header; 0 for other files, and for one that cannot be read. Opens
// the file without locks, so that a running QEMU is not disturbed.
uint32_t qcow2_version(const std::string& path);

// The format that the content begins like (fixed VHD: ends like), for a user who stated no format;
// none for anything else. It never determines the format: whoever writes a raw disk chooses how it
// begins.
std::optional<std::string> image_format_it_looks_like(int fd);

}  // namespace images
