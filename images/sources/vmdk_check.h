// What VMDK files refer to, and whether QEMU would read them rightly. It reads some of them wrongly
// without a word: grains and flat extents beyond a file's end as zeros, and extents of a kind that
// it does not know as if they were not there. Those are refused here. Layouts according to VMware's
// "Virtual Disk Format 5.0" and QEMU's block/vmdk.c. Functions of the files' content; thread-safe.
#pragma once

#include <string>

#include "images/sources/image_headers.h"

namespace images {

// Throws unsupported, naming the kind, for those that cannot be read (seSparse, deltas of ESX,
// mapped devices, …), corrupt for a file that is cut off. `path` is for messages.
ImageReferences read_vmdk(const FilePart& part, const std::string& path);

// One sparse file, alone or an extent. Throws corrupt if grains of it lie beyond its end. A file of
// another kind passes: QEMU reports it.
void require_whole_sparse_vmdk(const FilePart& part, const std::string& path);

}  // namespace images
