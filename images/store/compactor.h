// Gives back the space of chunks no point refers to: packs with too small a live share are
// rewritten, one group at a time. Readers are not disturbed (they find moved records again through
// the index), syncs neither (sync_pins.h). Interrupted anywhere, nothing is lost: a new pack that
// the index does not know is taken up or removed when the store is opened next, an old one that was
// not removed yet likewise.
#pragma once

#include "images/store/open_store.h"
#include "images/store/store_writer.h"
#include "images/store/sync_pins.h"
#include "images/store/timeline_guard.h"

namespace images {

// Throws corrupt when damage has made the counts uncertain: nothing is freed then. A group of packs
// in which a sync found something it needs meanwhile is left for the next time.
CompactResult compact_store(OpenStore& store, SyncRegistry& registry, TimelineGuard& timeline,
                            const CompactOptions& options);

}  // namespace images
