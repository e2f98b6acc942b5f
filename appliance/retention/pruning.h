// Removes what is no longer needed and nothing else removes: old rows of the catalog, and boot
// traces of machines that are gone. A limited amount at a time; the rest follows the next time.
// Thread-safe.
#pragma once

#include <string>

#include "appliance/catalog/catalog.h"

namespace appliance::retention {

struct PruningPlaces {
  std::string trace_directory;  // of boot::BootTraceCache; empty: none
};

// Throws what the catalog throws.
void prune(catalog::Catalog& catalog, const PruningPlaces& places, uint64_t now_ms);

}  // namespace appliance::retention
