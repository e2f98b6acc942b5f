// What enrolled hosts asked for that was not taken, because an honest agent hardly ever does it: an
// alert names each host for an hour after the last time. Nothing of it is written down; a restart
// forgets. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/records.h"
#include "base/guarded.h"

namespace appliance::alerts {

// A short name of what was done, and a sentence about it that does not change from one time to the
// next. Each caller has a few fixed names, which bounds what is kept.
struct Misconduct {
  std::string what;
  std::string sentence;
};

class HostConduct {
 public:
  using Clock = std::chrono::steady_clock;
  // Tests bring a clock of their own.
  explicit HostConduct(std::function<Clock::time_point()> clock = &Clock::now)
      : clock_(std::move(clock)) {}

  void note(const catalog::Host& host, const Misconduct& misconduct);
  // One of kHostMisbehaves for each host of which something was noted lately.
  std::vector<Condition> conditions();

  static constexpr std::chrono::hours kRemembered{1};

 private:
  struct Seen {
    std::string sentence;
    Clock::time_point last;
  };
  struct Record {
    std::string tenant, name;
    std::map<std::string, Seen> seen;  // by what was done
  };
  const std::function<Clock::time_point()> clock_;
  base::Guarded<std::map<catalog::HostId, Record>> records_;
};

}  // namespace appliance::alerts
