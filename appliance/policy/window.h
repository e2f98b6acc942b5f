// Spans of a week, as written in policies: "mon-fri 7-19", "sat,sun", "22:30-6". A span includes
// its first minute and excludes its last; a span whose end is not after its beginning continues
// past midnight and belongs to the day on which it begins. Values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/policy/time_zone.h"

namespace appliance::policy {

struct Window {
  uint8_t days = 0x7f;      // bit 0: Monday … bit 6: Sunday
  int from_minute = 0;      // of the day
  int to_minute = 24 * 60;  // of the day, not included

  bool contains(int64_t local_ms) const;
};

// 0: Monday … 6: Sunday.
int weekday_of(int64_t local_ms);
// Minutes since local midnight.
int minute_of_day(int64_t local_ms);

// "mon", "Mon-Fri", "sat,sun": bits as in Window. Throws invalid_argument.
uint8_t parse_days(std::string_view text);
bool looks_like_days(std::string_view text);
// "7", "07:30", "24:00": minutes of the day. Throws invalid_argument.
int parse_minute(std::string_view text);
// Parts of a window: days, a span of hours, or both in this order. Throws invalid_argument.
Window parse_window(const std::vector<std::string>& words);

// Words of a text, separated by spaces.
std::vector<std::string> words_of(std::string_view text);

}  // namespace appliance::policy
