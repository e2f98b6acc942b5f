// The catalog in one SQLite file: its aggregates over one connection. Contract: catalog.h.
#pragma once

#include <memory>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/sqlite/alerts.h"
#include "appliance/catalog/sqlite/appliance.h"
#include "appliance/catalog/sqlite/audit.h"
#include "appliance/catalog/sqlite/corrections.h"
#include "appliance/catalog/sqlite/database.h"
#include "appliance/catalog/sqlite/failbacks.h"
#include "appliance/catalog/sqlite/hosts.h"
#include "appliance/catalog/sqlite/jobs.h"
#include "appliance/catalog/sqlite/machines.h"
#include "appliance/catalog/sqlite/notices.h"
#include "appliance/catalog/sqlite/people.h"
#include "appliance/catalog/sqlite/points.h"
#include "appliance/catalog/sqlite/protections.h"
#include "appliance/catalog/sqlite/tenants.h"
#include "appliance/catalog/sqlite/verifications.h"

namespace appliance::catalog::sqlite {

// The first base: made before the classes that use it, and ended after them.
struct ConnectionOwner {
  explicit ConnectionOwner(std::unique_ptr<Database> database) : connection(std::move(database)) {}
  Connection connection;
};

class SqliteCatalog final : private ConnectionOwner,
                            public Catalog,
                            public SqliteTenantRecords,
                            public SqliteHostRecords,
                            public SqliteMachineRecords,
                            public SqlitePointRecords,
                            public SqliteJobRecords,
                            public SqliteAlertRecords,
                            public SqliteNoticeRecords,
                            public SqliteVerificationRecords,
                            public SqliteCorrectionRecords,
                            public SqliteProtectionRecords,
                            public SqliteFailbackRecords,
                            public SqliteApplianceRecords,
                            public SqlitePeopleRecords,
                            public SqliteAuditRecords {
 public:
  // The database has the newest schema.
  explicit SqliteCatalog(std::unique_ptr<Database> database);

  PruneCounts prune(const PruneLimits& limits, uint64_t now_ms) override;
};

}  // namespace appliance::catalog::sqlite
