// Whether a record in a pack is intact. Functions; thread-safe.
#pragma once

#include "base/file_system.h"
#include "images/store/store_context.h"

namespace images {

// Its header is that of `record` and its stored bytes match their checksum: all that can be
// verified without a key. Reads it again; throws what reading throws, except for missing bytes.
bool record_is_whole(const base::ReadableFile& pack, const format::DirectoryEntry& record);

// Its content has the hash that its id states. Throws unauthorized if it needs a key that is not
// available.
bool record_content_is_right(const StoreContext& store, const base::ReadableFile& pack,
                             const format::DirectoryEntry& record);

}  // namespace images
