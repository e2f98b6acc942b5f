// Makes the index agree with packs and manifests before a writer begins: after a crash, after a
// power cut that restored an older index, and from nothing. The caller holds the writer's lock; no
// reader of this process has the index open.
//
// What may be found, and what is done:
//   index missing, damaged, truncated,     → rebuilt from packs and manifests
//     another store's, or half rebuilt
//   a pack of the index is missing         → rebuilt, since its counts may be old
//   a pack without its directory           → its whole records are kept, the rest is truncated, and
//     (the last one of a killed writer)      it is sealed
//   a pack that is not in the index        → its records are listed
//   an interrupted change of references    → finished
//   a manifest that is not in the index    → added
//   a point whose manifest is missing      → removed
#pragma once

#include <string>

#include "images/store/store_context.h"
#include "images/store/store_writer.h"

namespace images {

// Opens the index of `store` at the end.
void recover_store(StoreContext& store, const std::string& index_directory);

// Always from nothing. Opens the index of `store` at the end.
RebuildReport rebuild_from_packs(StoreContext& store, const std::string& index_directory);

}  // namespace images
