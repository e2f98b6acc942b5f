// Alerts and their life cycle: opened when a condition is seen, closed when it is gone,
// acknowledged by an operator in between. A hook is called for changes. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/alert_records.h"

namespace appliance::alerts {

enum class AlertChange { opened, closed };
using AlertHook = std::function<void(const catalog::Alert&, AlertChange)>;

class AlertBook {
 public:
  // `hook` may be empty; it is called after the change is durable and must not block.
  AlertBook(catalog::AlertRecords& catalog, AlertHook hook);

  // Opens one alert, or updates its message.
  void raise(const Condition& condition, uint64_t now_ms);
  // Closes it, if it is open.
  void clear(const Condition& condition, uint64_t now_ms);

  // Makes the open alerts of these kinds exactly the conditions. If some cannot be recorded it
  // still processes all others, then throws the first failure.
  void settle(const std::set<std::string>& kinds, const std::vector<Condition>& conditions,
              uint64_t now_ms);

 private:
  catalog::AlertRecords& catalog_;
  AlertHook hook_;
};

}  // namespace appliance::alerts
