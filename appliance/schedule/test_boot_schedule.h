// When machines are tested by booting them: after each sync, or at night, as their policies say.
// round() is called by a duty; committed() may be called on any thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "appliance/catalog/catalog.h"
#include "appliance/ingest/sync_orders.h"
#include "appliance/schedule/policies.h"

namespace appliance::schedule {

// Boots machines for a test. Thread-safe.
class TestBoots {
 public:
  virtual ~TestBoots() = default;

  // Orders a test boot of the machine's newest point; `why` is "sync" or "nightly". Throws if that
  // is impossible now.
  virtual void order(const catalog::TenantName& tenant, const std::string& machine,
                     const char* why) = 0;
};

class TestBootSchedule : public ingest::CommitListener {
 public:
  // All must outlive it. Nights before `begin_ms` are skipped.
  TestBootSchedule(catalog::Catalog& catalog, Policies& policies, TestBoots& test_boots,
                   uint64_t begin_ms)
      : catalog_(catalog), policies_(policies), test_boots_(test_boots), looked_ms_(begin_ms) {}

  // Orders the nightly tests that became due since the last round, and again those that could not
  // be ordered then. Throws unavailable, naming one machine and the number of machines, while some
  // cannot.
  void round(uint64_t now_ms);

  // Orders a test if the machine's policy wants one after each sync. A failure to order it is only
  // logged: if no test passes for long, that is an alert.
  void committed(const catalog::TenantName& tenant, const std::string& machine) override;

 private:
  using Key = std::pair<catalog::TenantName, std::string>;  // tenant, machine
  void find_due(uint64_t now_ms);

  catalog::Catalog& catalog_;
  Policies& policies_;
  TestBoots& test_boots_;
  // Used only by round():
  uint64_t looked_ms_;
  std::set<Key> due_;
};

}  // namespace appliance::schedule
