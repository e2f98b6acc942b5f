#include "appliance/schedule/alert_watch.h"

#include <fmt/format.h>

#include <exception>

#include "appliance/catalog/records.h"
#include "base/internal_errors.h"

namespace appliance::schedule {

void AlertWatch::round(uint64_t now_ms) {
  std::vector<alerts::Condition> failures;
  std::exception_ptr unsettled;
  auto settle = [&](const std::set<std::string>& kinds,
                    const std::vector<alerts::Condition>& conditions) {
    try {
      book_.settle(kinds, conditions, now_ms);
    } catch (...) {
      if (!unsettled) unsettled = std::current_exception();
    }
  };
  for (const AlertSource& source : sources_) {
    std::vector<alerts::Condition> found;
    try {
      found = source.look(now_ms);
    } catch (const NotLookedYet&) {
      continue;
    } catch (...) {
      failures.push_back({alerts::kDutyFailing, catalog::TenantName(catalog::kDefaultTenant),
                          "watch " + source.name,
                          fmt::format("it is not known what is wrong with {}: {}", source.name,
                                      base::describe_exception(std::current_exception()))});
      continue;
    }
    settle(source.kinds, found);
  }
  for (alerts::Condition& each : failures_()) failures.push_back(std::move(each));
  settle({alerts::kDutyFailing}, failures);
  if (unsettled) std::rethrow_exception(unsettled);
}

}  // namespace appliance::schedule
