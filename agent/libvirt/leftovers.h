// What an interrupted sync of a machine may leave in libvirt and in the agent's folders, and its
// removal. Used by three: a sync that fails, the guard of a sync that was killed, and the next
// sync, before it begins. The caller holds the machine's lock.
#pragma once

#include <string>

#include "agent/libvirt/domain.h"
#include "agent/sync_place.h"

namespace agent::libvirt {

// The name of every checkpoint the agent makes starts with this, followed by something random.
constexpr char kCheckpointPrefix[] = "muletto-";

// Thaws the guest if it may be frozen, ends a backup job that a sync of this machine began, deletes
// the agent's checkpoints and bitmaps except those that belong to the last point, and removes the
// sync's folders. Attempts everything; throws the first failure at the end.
void remove_leftovers(const Domain& domain, const SyncPlace& place);

// Removes what QEMU's memory holds of syncs, bitmaps that belong to the last point too. False if
// there was nothing to remove.
bool forget_bitmaps(const Domain& domain, const SyncPlace& place);

// The agent's checkpoints except `kept`. Failures are logged.
void delete_other_checkpoints(const Domain& domain, const std::string& kept) noexcept;

}  // namespace agent::libvirt
