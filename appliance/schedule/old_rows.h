// Removes old rows of the catalog by age: once an hour, and never by a clock that cannot be
// trusted. Not thread-safe: used by one duty.
#pragma once

#include <cstdint>
#include <optional>

#include "appliance/catalog/catalog.h"
#include "appliance/schedule/clock_trust.h"
#include "base/clock.h"

namespace appliance::schedule {

class OldRows {
 public:
  // All must outlive it.
  OldRows(catalog::Catalog& catalog, ClockTrust& clock_trust,
          const base::Clock& clock = base::system_clock())
      : catalog_(catalog), clock_trust_(clock_trust), clock_(clock) {}

  // Throws what the catalog throws.
  void round();

 private:
  catalog::Catalog& catalog_;
  ClockTrust& clock_trust_;
  const base::Clock& clock_;
  std::optional<uint64_t> forgotten_ms_;  // steady: when they were last removed
};

}  // namespace appliance::schedule
