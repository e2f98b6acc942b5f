// Which points of a machine are kept: "last 24, hourly 48, daily 14, weekly 8, monthly 12, yearly
// 5", or "all". Pure. Values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/policy/time_zone.h"
#include "images/ids.h"

namespace appliance::policy {

// How many of each; all zero: everything is kept.
struct Retention {
  uint32_t last = 0;
  uint32_t hourly = 0;
  uint32_t daily = 0;
  uint32_t weekly = 0;  // weeks begin on Monday
  uint32_t monthly = 0;
  uint32_t yearly = 0;

  bool keeps_all() const {
    return last == 0 && hourly == 0 && daily == 0 && weekly == 0 && monthly == 0 && yearly == 0;
  }
};

Retention parse_retention(std::string_view text);  // throws invalid_argument

struct DatedPoint {
  images::PointId id;
  int64_t time_ms = 0;  // UTC
};

// The points to delete. Of each hour, day, … of the zone's clock that has a point, the newest point
// stands for it, and as many of them are kept as the retention says, newest first. The newest point
// of all is never deleted.
std::vector<images::PointId> points_to_delete(std::vector<DatedPoint> points,
                                              const Retention& retention, const TimeZone& zone);

}  // namespace appliance::policy
