// Refused requests of enrolled hosts that an honest agent hardly ever makes: an alert names each
// such host for an hour after the last occurrence. Nothing is stored; a restart forgets it.
// Thread-safe.
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

// A short name for what was done, and a sentence about it that does not change from one occurrence
// to the next. Each caller has a few fixed names, which bounds what is kept.
struct Misconduct {
  std::string what;
  std::string sentence;
};

class HostConduct {
 public:
  using Clock = std::chrono::steady_clock;
  // Tests pass a clock of their own.
  explicit HostConduct(std::function<Clock::time_point()> clock = &Clock::now)
      : clock_(std::move(clock)) {}

  void note(const catalog::Host& host, const Misconduct& misconduct);
  // One kHostMisbehaves for each host with a recent occurrence.
  std::vector<Condition> conditions();

  static constexpr std::chrono::hours kRemembered{1};

 private:
  struct Seen {
    std::string sentence;
    Clock::time_point last;
  };
  struct Record {
    catalog::TenantName tenant;
    std::string name;
    std::map<std::string, Seen> seen;  // by the name of what was done
  };
  const std::function<Clock::time_point()> clock_;
  base::Guarded<std::map<catalog::HostId, Record>> records_;
};

}  // namespace appliance::alerts
