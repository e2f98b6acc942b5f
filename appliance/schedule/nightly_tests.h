// Orders the nightly test boots. Not thread-safe: a duty's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "appliance/policy/policy.h"

namespace appliance::schedule {

class NightlyTests {
 public:
  struct Others {
    std::function<std::shared_ptr<const policy::Policy>(const std::string& tenant,
                                                        const std::string& name)>
        policy;
    // Orders a test boot of the machine's newest point; throws if that cannot be done now.
    std::function<void(const std::string& tenant, const std::string& machine)> verify;
  };
  // `catalog` outlives it. Nights before `begin_ms` are not made up for.
  NightlyTests(catalog::Catalog& catalog, Others others, uint64_t begin_ms)
      : catalog_(catalog), others_(std::move(others)), looked_ms_(begin_ms) {}

  // Orders the tests whose instant came since the last round, and again those that could not be
  // ordered then. Throws unavailable, naming one machine and how many there are, while some cannot.
  void round(uint64_t now_ms);

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, machine
  void find_due(uint64_t now_ms);

  catalog::Catalog& catalog_;
  const Others others_;
  uint64_t looked_ms_;
  std::set<Key> due_;
};

}  // namespace appliance::schedule
