// What the appliance does by itself, repeatedly: each duty runs on a thread of its own, so that one
// that fails, or hangs on a disk that does not answer, does not stop the others. A duty that fails
// or does not return is known by name, for the alert `duty-failing` and for `muletto status`.
// Thread-safe, except for add().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::schedule {

struct Duty {
  std::string name;  // "retention"
  std::string what;  // what is not done while it fails: "old points are not deleted"
  std::chrono::milliseconds every{1000};  // between the end of a round and the next one
  std::function<void()> round;            // throws the reason if it cannot be done
  std::chrono::milliseconds patience = std::chrono::minutes(15);  // a longer round counts as failed
};

struct DutyFailure {
  std::string name, what;
  uint64_t since_ms = 0;  // UTC; of the first failed round in a row
  std::chrono::milliseconds lasts{0};
  std::string error;  // of the newest round; or that it does not finish
};

class DutyRunner {
 public:
  ~DutyRunner() { stop(); }

  void add(Duty duty);  // before start()
  void start();         // the first rounds begin after their pauses
  void stop();          // returns when the running rounds have ended

  std::vector<DutyFailure> failures();
  // Throws unavailable while the duty of that name fails.
  void require_done(const std::string& name);

 private:
  using Clock = std::chrono::steady_clock;
  struct Standing {
    std::optional<Clock::time_point> round_began;  // of the running round
    uint64_t round_began_ms = 0;
    std::optional<Clock::time_point> failing_since;
    uint64_t failing_since_ms = 0;
    std::string error;
  };
  struct Entry {
    Duty duty;
    base::Guarded<Standing> standing;
  };
  static void run_round(Entry& entry);

  std::list<Entry> entries_;  // not changed after start()
  std::vector<base::GuardedThread> threads_;
};

}  // namespace appliance::schedule
