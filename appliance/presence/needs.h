// The table of what mulettod needs: what is checked, how often, and what is impossible without it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/config.h"
#include "appliance/presence/presence.h"

namespace appliance::presence {

struct NeedSources {
  const Config& config;
  std::function<void()> look_at_stores;         // TenantStores::look()
  std::function<void()> ask_libvirt;            // throws if it does not answer
  std::function<void()> expect_alerts_settled;  // throws if alerts have not been settled recently
  std::string fingerprint;                      // of the authority that was opened
};

// Everything that `sources` refers to must outlive the needs. Each group is for a thread of its
// own.
std::vector<std::vector<Need>> needs_of(const NeedSources& sources);

}  // namespace appliance::presence
