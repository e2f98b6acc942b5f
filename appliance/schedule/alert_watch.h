// Settles the alerts: what is wrong is looked for in several places, and the open alerts of each
// place's kinds are made what was found there. A place that cannot be asked keeps its alerts as
// they are, and is one itself. Not thread-safe: a duty's.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/alerts/conditions.h"

namespace appliance::schedule {

struct AlertSource {
  std::string name;             // "the instant VMs"
  std::set<std::string> kinds;  // that nobody else settles
  std::function<std::vector<alerts::Condition>(uint64_t now_ms)> look;
};

class AlertWatch {
 public:
  // `failures` is asked last: conditions of the kind kDutyFailing.
  AlertWatch(alerts::AlertBook& book, std::vector<AlertSource> sources,
             std::function<std::vector<alerts::Condition>()> failures)
      : book_(book), sources_(std::move(sources)), failures_(std::move(failures)) {}

  // Throws the first failure to write alerts down, after all sources have had their turn.
  void round(uint64_t now_ms);

 private:
  alerts::AlertBook& book_;
  const std::vector<AlertSource> sources_;
  const std::function<std::vector<alerts::Condition>()> failures_;
};

}  // namespace appliance::schedule
