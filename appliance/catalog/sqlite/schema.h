// The tables of the catalog, and how a catalog of an older version becomes one of this version.
#pragma once

#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

// The version this program writes: the count of migrations. Kept in SQLite's user_version.
int schema_version();

// Applies the migrations a database lacks, each in a transaction of its own. Throws unsupported for
// a database that a newer version wrote. Tests stop at an older version.
void migrate(Database& database, int to_version = schema_version());

}  // namespace appliance::catalog::sqlite
