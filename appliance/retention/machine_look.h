// Examines one machine: what would happen to its points now, and whether anything prevents it. Uses
// the catalog, the policies and the records of boots, but neither store nor libvirt. Changes
// nothing. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "appliance/retention/plan.h"
#include "appliance/retention/pruning.h"
#include "appliance/stores/tenant_stores.h"

namespace appliance::retention {

// What retention needs from other parts; all functions may be called on any thread. If empty: the
// real clocks; the clock is always trusted.
struct Surroundings {
  std::string state_directory{};          // folder with the records of boots
  std::function<uint64_t()> now_ms{};     // UTC
  std::function<uint64_t()> steady_ms{};  // monotonic
  // Why the clock is not trusted now, a sentence; empty: it is trusted.
  std::function<std::string()> clock_problem{};
  PruningPlaces pruning{};
};
// Fills everything that is empty except the folder.
Surroundings complete(Surroundings surroundings);

struct MachinePlan {
  catalog::TenantName tenant;
  std::string machine;
  std::string policy;               // its name
  std::string keep;                 // the rule, as people write it
  std::vector<Decision> decisions;  // newest first
  size_t going = 0;                 // how many of them are to be removed
  // Why nothing is removed now, a sentence; empty: nothing prevents it.
  std::string held;
  // This deserves an alert: points were to be removed, and something is wrong or waits.
  bool is_held_back = false;
  std::optional<uint64_t> waits_until_ms;  // UTC: a new rule's grace ends then
  // Why a point is kept though no rule keeps it, if that means that something is wrong; otherwise
  // empty.
  std::string beyond;
  std::string rule;  // in Grace's form
  Grace grace;       // to be stored if the plan is carried out
};

class MachineLook {
 public:
  // Both must outlive it. `surroundings` are complete.
  MachineLook(catalog::Catalog& catalog, stores::TenantStores& stores,
              const Surroundings& surroundings)
      : catalog_(catalog), stores_(stores), around_(surroundings) {}

  // The plan for the current state.
  MachinePlan now(const catalog::Protection& protection) const;
  // The plan if the machine were protected and its rule were `keep`, without grace. Throws
  // invalid_argument for an invalid rule.
  MachinePlan under(const catalog::Protection& protection, const std::string& keep) const;

 private:
  void decide(MachinePlan& plan, const std::string& timezone) const;
  std::vector<Candidate> candidates(MachinePlan& plan) const;
  void wait_for_grace(MachinePlan& plan) const;

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  const Surroundings& around_;
};

}  // namespace appliance::retention
