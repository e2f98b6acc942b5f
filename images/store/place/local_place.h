// A store's place in a directory of a file system. Each function makes the I/Os that it names and
// no others, so that a file system that fails at every single one stands below it.
//
//   put        name + ".tmp", sync, rename, sync of the folder; the folder is made before, durably
//   packs      grow: a flush makes what was appended durable, and the pack remains open
//   leases     flock: of a blob's file, and of writer.lock. The writer's is also lost when that
//              name means another file: the disk was unmounted, or another one mounted over it
//   replace    does not compare: the lock of the writer, or a person who changes the key, is alone
//
// Thread-safe as StorePlace says.
#pragma once

#include <memory>
#include <string>

#include "images/store/place/store_place.h"

namespace images {

// `files` must outlive it. Does no I/O.
std::unique_ptr<StorePlace> local_place(base::FileSystem& files, const std::string& directory);

}  // namespace images
