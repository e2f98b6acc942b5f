// Keeps the audit log honest: writes its head into each tenant's store (an anchor) when a day is over
// and once at the start, compares log and anchors every day, and says what is wrong. Thread-safe.
//
// An anchor is never taken back: if log and anchors disagree, the old anchors stay beside the new ones,
// and the disagreement is said until the end of time, or until the store's file is removed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "appliance/access/node_id.h"
#include "appliance/alerts/conditions.h"
#include "appliance/audit/audit_chain.h"
#include "appliance/audit/audit_log.h"
#include "appliance/catalog/catalog.h"
#include "appliance/stores/tenant_stores.h"
#include "base/guarded.h"
#include "images/format/audit_anchor_format.h"

namespace appliance::audit {

class AuditService {
 public:
  // All outlive it.
  AuditService(AuditLog& log, catalog::Catalog& catalog, stores::TenantStores& stores,
               base::FileSystem& files, access::NodeId node,
               const base::Clock& clock = base::system_clock())
      : log_(log), catalog_(catalog), stores_(stores), files_(files), node_(node), clock_(clock) {}

  AuditLog& log() { return log_; }

  struct Anchored {
    std::vector<std::string> tenants;   // whose stores know the head now
    std::vector<std::string> problems;  // "the store of tenant acme: …"
  };
  // Durable when it returns.
  Anchored anchor();
  // Compares the log with itself, with what this process remembers, and with all anchors that can be
  // read. Reads everything: seconds for a million entries. Throws what reading the catalog throws.
  ChainCheck verify();

  // A duty's: anchors and verifies when it is time.
  void round();
  std::vector<alerts::Condition> conditions();

 private:
  std::string file_of(const catalog::TenantName& tenant);
  std::vector<images::AuditAnchor> read_anchors(const catalog::TenantName& tenant);
  void anchor_in(const catalog::TenantName& tenant, const AuditLog::Head& head);

  AuditLog& log_;
  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  base::FileSystem& files_;
  const access::NodeId node_;
  const base::Clock& clock_;
  struct State {
    bool has_run = false;
    uint64_t day = 0;        // UTC, days since 1970, of the last round that did something
    uint64_t steady_ms = 0;  // of that round
    std::string problem;     // that verify() found last
  };
  base::Guarded<State> state_;
  base::Guarded<int> writing_;  // one change of the anchors' files at a time
};

}  // namespace appliance::audit
