// A copy of a catalog's file while others use the catalog. Functions; thread-safe.
#pragma once

#include <string>

namespace appliance::catalog {

// Writes a complete copy of the catalog at `from`, of one instant, as the new file `to`, readable by its
// owner alone. The daemon may go on changing the catalog meanwhile. Durable when it returns. Throws
// not_found, already_exists (`to`), no_space, corrupt, io.
void copy_catalog(const std::string& from, const std::string& to);

// The version of a catalog's file, as its migrations count; 0 for a file that is none yet.
int catalog_version(const std::string& path);
// The newest version that this program reads.
int newest_catalog_version();

}  // namespace appliance::catalog
