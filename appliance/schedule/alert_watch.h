// Settles the alerts: several sources look for what is wrong, and the open alerts of each source's
// kinds are made equal to what it found. If a source cannot be queried, its alerts stay as they
// are, and that is an alert itself. Not thread-safe: used by one duty.
#pragma once

#include <exception>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/alerts/conditions.h"

namespace appliance::schedule {

// Thrown by a source that has not looked since the daemon started: its alerts stay as they are. Its
// own duty fails if that lasts.
class NotLookedYet : public std::exception {};

struct AlertSource {
  std::string name;             // "the instant VMs"
  std::set<std::string> kinds;  // that no other source settles
  std::function<std::vector<alerts::Condition>(uint64_t now_ms)> look;
};

class AlertWatch {
 public:
  // `failures` is called last: conditions of the kind kDutyFailing.
  AlertWatch(alerts::AlertBook& book, std::vector<AlertSource> sources,
             std::function<std::vector<alerts::Condition>()> failures)
      : book_(book), sources_(std::move(sources)), failures_(std::move(failures)) {}

  // Throws the first failure to record alerts, after all sources have been processed.
  void round(uint64_t now_ms);

 private:
  alerts::AlertBook& book_;
  const std::vector<AlertSource> sources_;
  const std::function<std::vector<alerts::Condition>()> failures_;
};

}  // namespace appliance::schedule
