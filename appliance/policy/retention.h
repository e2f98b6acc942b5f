// The rule that says which points of a machine are kept: "last 24, hourly 48, daily 14, weekly 8,
// monthly 12, yearly 5", or "all". How it is applied is in retention/plan.h. Pure. Values.
#pragma once

#include <cstdint>
#include <string_view>

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

}  // namespace appliance::policy
