// A look at one machine: what would become of its points now, and whether anything forbids it. Out
// of the catalog, the policies and the records of boots; neither store nor libvirt is asked.
// Changes nothing. Thread-safe.
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

// What retention asks others; all may be called on any thread. Empty ones: the real clocks; the
// clock is always trusted.
struct Surroundings {
  std::string state_directory{};          // where the records of boots are
  std::function<uint64_t()> now_ms{};     // UTC
  std::function<uint64_t()> steady_ms{};  // monotonic
  // Why the clock is not to be believed now, a sentence; empty: it is.
  std::function<std::string()> clock_problem{};
  PruningPlaces pruning{};
};
// With nothing empty but the folder.
Surroundings complete(Surroundings surroundings);

struct MachinePlan {
  std::string tenant;
  std::string machine;
  std::string policy;               // its name
  std::string keep;                 // the rule, as people write it
  std::vector<Decision> decisions;  // newest first
  size_t going = 0;                 // how many of them do not stay
  // Why nothing is removed now, a sentence; empty: nothing forbids it.
  std::string held;
  // That is worth an alert: points were to go, and something is wrong or waits.
  bool is_held_back = false;
  std::optional<uint64_t> waits_until_ms;  // UTC: a new rule's grace ends then
  // What stays though no rule keeps it, if that means that something is wrong; else empty.
  std::string beyond;
  std::string rule;  // as Grace knows it
  Grace grace;       // to be remembered if the plan is followed
};

class MachineLook {
 public:
  // Both outlive it. `surroundings` are complete.
  MachineLook(catalog::Catalog& catalog, stores::TenantStores& stores,
              const Surroundings& surroundings)
      : catalog_(catalog), stores_(stores), around_(surroundings) {}

  // As things are.
  MachinePlan now(const catalog::Protection& protection) const;
  // If the machine were protected and its rule were `keep`, without grace. Throws invalid_argument
  // for a rule that is none.
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
