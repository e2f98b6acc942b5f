// When a machine is to be synced, as people write it:
//   every 15m | every 1h mon-fri 7-19 | hourly mon-fri 7-19 | daily 22:00 | daily 22:00 mon-fri |
//   weekly sun 03:00 | five fields as in crontab(5) | off
// Several rules may stand side by side. Pure: the time comes as an argument. Values; thread-safe.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "appliance/policy/time_zone.h"
#include "appliance/policy/window.h"

namespace appliance::policy {

// Instants a fixed time apart, counted from 1970 so that a restart changes nothing; summer time
// does not either.
struct IntervalRule {
  int64_t interval_ms = 0;
  Window window;
};

// Wall-clock times. A time that clocks jump over in spring is due at the jump; one that comes twice
// in autumn is due the first time, unless the rule is for any hour.
struct CalendarRule {
  std::bitset<60> minutes;
  std::bitset<24> hours;
  bool any_hour = false;
  std::bitset<32> month_days;  // 1 to 31
  std::bitset<13> months;      // 1 to 12
  uint8_t weekdays = 0x7f;     // as in Window
  bool either_day = false;     // crontab's rule: both kinds of days are given, one suffices
};

class Schedule {
 public:
  // Throws invalid_argument with the rule's text.
  static Schedule parse(const std::vector<std::string>& rules);

  bool is_off() const { return rules_.empty(); }
  // The first instant after `after_ms` (UTC) at which a sync is due; none if it is off or no such
  // day comes within ten years.
  std::optional<int64_t> next_after(int64_t after_ms, const TimeZone& zone) const;

 private:
  std::vector<std::variant<IntervalRule, CalendarRule>> rules_;
};

// Spreads the starts of machines that share a schedule: between 0 and `jitter_ms`, always the same
// for one machine.
int64_t jitter_of(const std::string& machine_name, int64_t jitter_ms);

}  // namespace appliance::policy
