// Frees the space of chunks that no point refers to: packs with too small a live share are
// rewritten, one group at a time. Readers are not disturbed (they find moved records again through
// the index), and neither are syncs (sync_pins.h). If it is interrupted, nothing is lost: a new
// pack that is not in the index is added or removed when the store is opened next, and so is an old
// one that was not removed yet.
#pragma once

#include "images/store/store_context.h"
#include "images/store/store_writer.h"
#include "images/store/sync_pins.h"
#include "images/store/timeline_guard.h"

namespace images {

// Throws corrupt if damage has made the counts uncertain: nothing is freed then. A group of packs
// in which a sync meanwhile found something it needs is left for the next time.
CompactResult compact_store(StoreContext& store, SyncRegistry& registry, TimelineGuard& timeline,
                            const CompactOptions& options);

}  // namespace images
