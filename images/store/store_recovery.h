// Makes the index agree with packs and manifests before a writer begins: after a crash, after a
// power cut that gave back an older index, and from nothing. The caller holds the writer's lock; no
// reader of this process has the index open.
//
// What can be found, and what is done:
//   index missing, damaged, cut short,     → rebuilt from packs and manifests
//     another store's, or half rebuilt
//   a pack of the index is gone            → rebuilt, since its counts may be old
//   a pack without its directory           → its whole records are kept, the rest is cut, it is sealed
//     (the last one of a killed writer)
//   a pack the index does not know         → its records are listed
//   an interrupted change of references    → finished
//   a manifest the index does not know     → added
//   a point whose manifest is gone         → removed
#pragma once

#include <string>

#include "images/store/open_store.h"
#include "images/store/store_writer.h"

namespace images {

// Opens the index of `store` in the end.
void recover_store(OpenStore& store, const std::string& index_directory);

// Always from nothing. Opens the index of `store` in the end.
RebuildReport rebuild_from_packs(OpenStore& store, const std::string& index_directory);

}  // namespace images
