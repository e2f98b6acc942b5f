// Finds damage: every record of every pack, every manifest, every tree. See check_store().
#pragma once

#include "images/store/store_context.h"
#include "images/store/store_writer.h"

namespace images {

enum class DamageNotes {
  // Record damaged chunks in the index, so that syncs send them again; needs the writer's lock.
  keep,
  report,  // only report
};

CheckReport check_open_store(StoreContext& store, const CheckOptions& options, DamageNotes notes);

}  // namespace images
