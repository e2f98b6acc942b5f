// What the appliance needs besides itself (libvirt, its folders, keys, programs), and the duties
// that must be known to be done: each is checked again and again, so that a loss is noticed at once
// and recovery is automatic. A check that does not return counts as failed. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::presence {

// A row of the table of what is checked.
struct Need {
  std::string name;     // "libvirt"
  std::string purpose;  // what is impossible without it: "instant VMs and test boots"
  uint64_t every_ms = 10'000;
  uint64_t grace_ms = 0;        // an alert is raised after this time
  std::function<void()> check;  // throws base::Error with what is wrong and what to do
  bool is_for_duties = true;    // without it some duty is not done, so alerts are incomplete
};

struct NeedStanding {
  std::string name;
  std::string purpose;
  bool is_for_duties = true;
  std::string problem;      // a sentence; empty: it was present at the last check
  uint64_t since_ms = 0;    // when that began; milliseconds since 1970
  uint64_t failing_ms = 0;  // for how long it has failed, by the monotonic clock; 0: it has not
};

class Presence {
 public:
  // The needs of one group are checked one after the other on a thread of their own: one that hangs
  // (libvirt, a dead disk) delays only its group.
  explicit Presence(std::vector<std::vector<Need>> groups);
  ~Presence();  // as stop()

  void start();
  void stop();  // waits for running checks

  std::vector<NeedStanding> standings();
  // For the needs that fail, after their grace; of the default tenant.
  std::vector<alerts::Condition> conditions();

  // A check that has not returned for this long counts as failed.
  static constexpr uint64_t kPatienceMs = 30'000;

 private:
  struct Row {
    Need need;
    std::string problem;
    uint64_t since_ms = 0;      // milliseconds since 1970
    uint64_t failing_from = 0;  // monotonic milliseconds; 0: it works
    uint64_t begun = 0;         // monotonic, start of the running check; 0: none
    uint64_t next = 0;          // monotonic, of the next check
  };
  using Rows = std::vector<Row>;

  void run(size_t group, const std::stop_token& stop);
  bool check_next(size_t group);
  NeedStanding standing_of(const Row& row, uint64_t now) const;

  base::Guarded<std::vector<Rows>> groups_;
  std::vector<base::GuardedThread> threads_;
};

}  // namespace appliance::presence
