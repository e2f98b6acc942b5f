// Whether a record that lies in a pack is what it must be. Functions; thread-safe.
#pragma once

#include "base/file_system.h"
#include "images/store/open_store.h"

namespace images {

// Its header is that of `record` and its stored bytes match their checksum: all that can be told
// without a key. Reads it anew; throws what reading throws, but for bytes that are missing.
bool record_is_whole(const base::ReadableFile& pack, const format::DirectoryEntry& record);

// Its content has the hash that its id says. Throws unauthorized if it needs a key that is not
// there.
bool record_content_is_right(const OpenStore& store, const base::ReadableFile& pack,
                             const format::DirectoryEntry& record);

}  // namespace images
