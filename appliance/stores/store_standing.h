// How it stands with a tenant's store. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "images/ids.h"

namespace appliance::stores {

enum class StoreState {
  ready,
  read_only,  // can be read and booted from, not written
  held,       // another process writes to it; can be read and booted from
  missing,    // no store where it should be
  foreign,    // another store where it should be
  unclaimed,  // a store where this appliance has never had one: `tenant adopt` takes it
  locked,     // encrypted, and its key is not there, or is another's
  damaged,    // it is there, and cannot be opened
  full,       // it is there, and its disk, or that of the catalog, is too full to open it
};
// "ready", "read-only", "held", …
std::string_view store_state_name(StoreState state);

struct StoreStanding {
  std::string tenant;
  std::string directory;
  StoreState state = StoreState::missing;
  std::string problem;  // a sentence that says what to do; empty if it is ready
  uint64_t since_ms = 0;
  std::optional<images::StoreId> id;  // that the catalog knows
  bool encrypted = false;             // as far as it could be seen
  uint64_t missing_points = 0;        // that the catalog knew and the store has lost

  bool can_be_read() const { return state <= StoreState::held; }
};

}  // namespace appliance::stores
