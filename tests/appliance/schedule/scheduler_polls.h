// What tests of the scheduler ask and read, as agents would. Pure.
#pragma once

#include <string>
#include <vector>

#include "appliance/schedule/scheduler.h"

namespace appliance::schedule {

inline const catalog::TenantName kTenant(catalog::kDefaultTenant);

inline Poll report(const std::vector<std::string>& machines) {
  Poll poll;
  poll.report = "{}";
  poll.machines = machines;
  return poll;
}

inline std::vector<std::string> names(const PollAnswer& answer) {
  std::vector<std::string> names;
  for (const Order& order : answer.orders) names.push_back(order.machine);
  return names;
}

// As an agent says it that took all these up.
inline Poll running(const PollAnswer& answer) {
  Poll poll;
  for (const Order& order : answer.orders) poll.running.push_back({order.id, order.machine, 0, 0});
  return poll;
}

}  // namespace appliance::schedule
