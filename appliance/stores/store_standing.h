// The state of a tenant's store. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/catalog/records.h"
#include "images/ids.h"

namespace appliance::stores {

enum class StoreState {
  ready,
  read_only,  // can be read and booted from, not written
  held,       // another process writes to it; can be read and booted from
  missing,    // no store where it should be
  foreign,    // another store in its place
  unclaimed,  // a store where this appliance has never had one: `tenant adopt` takes it over
  locked,     // encrypted, and its key is missing, or is that of another store
  damaged,    // present, but cannot be opened
  full,       // present, but its disk, or that of the catalog, is too full to open it
};
// "ready", "read-only", "held", …
std::string_view store_state_name(StoreState state);

struct StoreStanding {
  catalog::TenantName tenant;
  std::string directory;
  StoreState state = StoreState::missing;
  std::string problem;  // a sentence that says what to do; empty if it is ready
  uint64_t since_ms = 0;
  std::optional<images::StoreId> id;  // the id in the catalog
  bool encrypted = false;             // as far as known
  uint64_t missing_points = 0;        // known to the catalog and lost by the store

  bool can_be_read() const { return state <= StoreState::held; }
};

}  // namespace appliance::stores
