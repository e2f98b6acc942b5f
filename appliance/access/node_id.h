// The identity of one installation of mulettod. Jobs and instant VMs carry the id of the
// installation whose process has them, so that a starting process handles only its own. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "images/ids.h"

namespace appliance::access {

// Random, created once, kept in the state folder. Zero: not known.
using NodeId = images::Id<struct NodeTag, 8>;

// The id in the file at `path`. A missing file is created durably, with `remembered` (the catalog
// has a copy of the id) or with a new id. Throws corrupt if the file holds something else, and what
// reading and writing files throws.
NodeId open_node_id(const std::string& path, const std::optional<NodeId>& remembered);

}  // namespace appliance::access
