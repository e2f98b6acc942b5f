// A running domain as the guard of its sync knows it: through a libvirt connection of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/libvirt/domain.h"
#include "agent/sync_guard.h"
#include "agent/sync_place.h"

namespace agent::libvirt {

// The first of the words from which the guard makes it.
constexpr char kGuardedDomain[] = "libvirt";

// The words for SyncGuard.
std::vector<std::string> guard_words(const std::string& uri, const Domain& domain,
                                     const SyncPlace& place);

// From these words. Throws invalid_argument for others, and as Connection does.
std::unique_ptr<GuardedMachine> guarded_domain(const std::vector<std::string>& words);

}  // namespace agent::libvirt
