// When a machine is to be synced, as people write it:
//   every 15m | every 1h mon-fri 7-19 | hourly mon-fri 7-19 | daily 22:00 | daily 22:00 mon-fri |
//   weekly sun 03:00 | five fields as in crontab(5) | off
// Several rules can be combined. Pure: the time is an argument. Values; thread-safe.
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

// Instants at a fixed interval, counted from 1970 so that neither a restart nor summer time changes
// anything.
struct IntervalRule {
  int64_t interval_ms = 0;
  Window window;
};

// Wall-clock times. A time that clocks skip in spring is due at the change; one that occurs twice
// in autumn is due the first time, unless the rule is for every hour.
struct CalendarRule {
  std::bitset<60> minutes;
  std::bitset<24> hours;
  bool any_hour = false;
  std::bitset<32> month_days;  // 1 to 31
  std::bitset<13> months;      // 1 to 12
  uint8_t weekdays = 0x7f;     // as in Window
  bool either_day = false;     // crontab's rule: if both kinds of days are given, one suffices
};

class Schedule {
 public:
  // Throws invalid_argument with the rule's text.
  static Schedule parse(const std::vector<std::string>& rules);

  bool is_off() const { return rules_.empty(); }
  // The first instant after `after_ms` (UTC) at which a sync is due; none if the schedule is off or
  // there is no such day within ten years.
  std::optional<int64_t> next_after(int64_t after_ms, const TimeZone& zone) const;

 private:
  std::vector<std::variant<IntervalRule, CalendarRule>> rules_;
};

// Spreads the starts of machines that share a schedule: between 0 and `jitter_ms`, always the same
// for one machine.
int64_t jitter_of(const std::string& machine_name, int64_t jitter_ms);

}  // namespace appliance::policy
