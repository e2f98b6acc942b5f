// Differencing VHD and VHDX files of Hyper-V: each holds what changed since its parent. QEMU reads
// a differencing VHD as if the parent were zeros and refuses a differencing VHDX, so the chain is
// read here, by bounded readers without any right of their own to fall for.
//
// A parent is looked for beside its child, and in what was allowed, by the last part of the names
// that the child has for it, then by the same name in other cases. It must have the identity that
// the child states: a parent that was written to since is refused, since the child would be wrong.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "images/disk_source.h"
#include "images/sources/image_headers.h"

namespace images {

struct DifferencingChain {
  std::unique_ptr<DiskSource> disk;
  std::vector<std::string> files;  // the child first
};

// `format` is "vpc" or "vhdx". None: the file is not a differencing one, QEMU reads it. `allowed`:
// files and folders where parents may lie besides the child's folder. Throws not_found for a parent
// that is not there, by its name; busy for one that is being written to; corrupt, unsupported as
// the layers (vhd_layer.h, vhdx_layer.h).
std::optional<DifferencingChain> open_differencing_chain(const std::string& path,
                                                         const std::string& format,
                                                         const std::vector<std::string>& allowed);

// Throws unsupported, with the parent's name, for a differencing file: where only QEMU could read
// it.
void refuse_differencing(const FilePart& part, const std::string& format, const std::string& path);

// The last parts of the names of the file's parent; empty: it is complete. For finding out which
// files of a folder are whole machines' disks.
std::vector<std::string> parent_names(const std::string& path);

}  // namespace images
