// What an interrupted sync of a machine may leave in libvirt and in the agent's folders, and its
// removal. Used by three: a sync that fails, the guard of a sync that was killed, and the next
// sync, before it begins. The caller holds the machine's lock.
#pragma once

#include <string>

#include "agent/libvirt/domain.h"

namespace agent::libvirt {

struct SyncPlace {
  std::string machine_name;
  std::string state_directory;
  std::string run_directory;
};

// The name of every checkpoint the agent makes starts with this, followed by something random.
constexpr char kCheckpointPrefix[] = "muletto-";

// Records for later syncs that the guest may be frozen; and removes that record.
void mark_frozen(const SyncPlace& place);
void unmark_frozen(const SyncPlace& place);

// Thaws the guest if it may be frozen, ends a backup job that a sync of this machine began, deletes
// the agent's checkpoints except the one that belongs to the last point, and removes the sync's
// folders. Attempts everything; throws the first failure at the end.
void remove_leftovers(const Domain& domain, const SyncPlace& place);

// The agent's checkpoints except `kept`. Failures are logged.
void delete_other_checkpoints(const Domain& domain, const std::string& kept) noexcept;

}  // namespace agent::libvirt
