// The appliance's memory, by aggregates: tenants, hosts, machines, points, jobs, alerts, test
// boots, their corrections, protections, people, the audit log, and the appliance itself. Whoever needs one or two of them takes those
// The appliance's memory, by aggregates: tenants, hosts, machines, points, jobs, alerts, notices
// of them, test boots, their corrections, protections, and the appliance itself. Whoever needs one or two of them takes those
// interfaces; a Catalog is all of them over one database.
//
// All are thread-safe. What a function changed is durable when it returns. Every function throws
// no_space, corrupt or io when the database cannot be read or written, and not_found for a tenant
// that does not exist, also for one that a scope names. Lists and what people name by a selector are
// limited to a scope: what is outside of it does not exist. Times are milliseconds since 1970 in
// UTC.
//
// The one implementation is SQLite's (appliance/catalog/sqlite), a class for each aggregate. The
// contract tests in tests/appliance/catalog run on whatever make_catalogs() there makes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "appliance/catalog/alert_records.h"
#include "appliance/catalog/appliance_records.h"
#include "appliance/catalog/audit_records.h"
#include "appliance/catalog/correction_records.h"
#include "appliance/catalog/failback_records.h"
#include "appliance/catalog/host_records.h"
#include "appliance/catalog/job_records.h"
#include "appliance/catalog/machine_records.h"
#include "appliance/catalog/notice_records.h"
#include "appliance/catalog/people_records.h"
#include "appliance/catalog/point_records.h"
#include "appliance/catalog/protection_records.h"
#include "appliance/catalog/tenant_records.h"
#include "appliance/catalog/verification_records.h"

namespace appliance::catalog {

// What prune() keeps.
struct PruneLimits {
  uint64_t finished_jobs = 10'000;  // the newest ones
  uint64_t job_log_days = 90;       // after the job ended
  uint64_t alert_days = 400;        // after it closed
  uint64_t token_days = 30;         // after its use or its end; the same for ended holds
  uint64_t session_days = 30;       // after its last use
  uint64_t rows = 1000;             // of each kind removed at once, at most
};

// What prune() removed: rows.
struct PruneCounts {
  uint64_t jobs = 0, job_logs = 0, alerts = 0, tokens = 0, reports = 0, holds = 0, gaps = 0,
           sessions = 0;
  uint64_t sum() const {
    return jobs + job_logs + alerts + tokens + reports + holds + gaps + sessions;
  }
};

// Inherited virtually, so that an implementation is composed of one class for each aggregate.
class Catalog : public virtual TenantRecords,
                public virtual HostRecords,
                public virtual MachineRecords,
                public virtual PointRecords,
                public virtual JobRecords,
                public virtual AlertRecords,
                public virtual NoticeRecords,
                public virtual VerificationRecords,
                public virtual CorrectionRecords,
                public virtual ProtectionRecords,
                public virtual FailbackRecords,
                public virtual ApplianceRecords,
                public virtual PeopleRecords,
                public virtual AuditRecords {
 public:
  // Opens or creates the SQLite file, migrates it to this version and creates the tenant `default`.
  // Throws unsupported for a catalog of a newer version.
  static std::unique_ptr<Catalog> open(const std::string& path);

  // Removes what is older than the limits, in every aggregate.
  virtual PruneCounts prune(const PruneLimits& limits, uint64_t now_ms) = 0;
};

}  // namespace appliance::catalog
