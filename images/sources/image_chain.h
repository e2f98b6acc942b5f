// All files of a disk image, found before a program reads it: the file itself, those it is built on
// (backing files, parents), and those its content is in (extents, data files). Only headers are
// read here; names in them may be chosen by an attacker.
//
// A file belongs to the chain if it is in the image's own folder, or below it, and no name on the
// way begins with a dot; or if the user allowed it. Every other name is refused, and so is one that
// is not a file name for QEMU ("json:…", "nbd://…"). Functions are thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_jail.h"
#include "base/unique_fd.h"

namespace images {

struct ImageChainOptions {
  // Files, or folders with everything below; absolute or relative.
  std::vector<std::string> allowed{};
  bool share_with_writers = false;
  // The image is this part of the file: an archive's member. It may refer to no other file.
  // size 0: the whole file.
  uint64_t part_offset = 0;  // bytes
  uint64_t part_size = 0;
};

struct ImageChain {
  std::vector<base::UniqueFd> descriptors;  // of `files`, open for reading
  std::vector<base::JailedFile> files;      // under the paths where QEMU looks for them
  std::string name;       // for QEMU: "json:{…}", which states format and files of all
  bool has_base = false;  // the first file is built on another
};

// The formats that can be read, as a list for people.
std::string known_image_formats();

// `format` of the file itself, which is never guessed; "vhd" is another name of "vpc". Throws
// not_found, unauthorized; unsupported (no such format; encrypted; a differencing VHD or VHDX, by
// its parent's name; a VMDK that QEMU would not read rightly), corrupt (a VMDK that is cut off); invalid_argument for a file that does not belong to the chain, for a base whose
// format the image does not state, and for more files than a chain can have.
ImageChain find_image_chain(const std::string& path, const std::string& format,
                            const ImageChainOptions& options = {});

}  // namespace images
