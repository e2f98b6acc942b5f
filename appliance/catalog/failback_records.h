// Failbacks: running instant VMs on their way home, each with its durable step (docs/failback.md).
// Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

enum class FailbackStep {
  surveying,
  copying,
  following,
  ready,
  ending,
  last,
  handing,
  starting,
  kept,
  done,
  cancelled,
  failed,
};
std::string_view failback_step_name(FailbackStep step);
inline bool is_over(FailbackStep step) { return step >= FailbackStep::done; }
// From the end of the guest here until home has answered.
inline bool is_switching(FailbackStep step) {
  return step >= FailbackStep::ending && step <= FailbackStep::starting;
}

// How the VM is ended.
enum class FailbackEnd {
  shutdown,  // its guest is asked
  power_off,
};
std::string_view failback_end_name(FailbackEnd end);        // "shutdown", "power-off"
FailbackEnd failback_end_from_name(std::string_view name);  // throws invalid_argument

// What a person ordered.
struct FailbackPlan {
  std::string target = "{}";      // JSON: where to, as an order to restore says it
  bool is_in_place = false;       // to the disks that the machine has there
  std::optional<uint64_t> at_ms;  // when to switch; none: when a person says so
  uint64_t limit_ms = 0;          // no switch whose predicted pause is longer; 0: no limit
  uint64_t rate = 0;              // bytes per second; 0: no limit
  uint64_t keep_ms = 0;           // how long the VM here is kept afterwards
  uint64_t shutdown_ms = 0;       // how long its guest may take to shut down
  FailbackEnd end = FailbackEnd::shutdown;
};

struct Failback {
  int64_t id = 0;
  TenantName tenant;
  std::string machine;
  std::string boot;  // the instant VM's id
  HostId host;
  std::string host_name;
  std::string requested_by;
  FailbackPlan plan;
  FailbackStep step = FailbackStep::surveying;
  std::string holder = "here";  // as boot.json has it: "here", "nobody", "home"
  std::string number;           // of the start at home, once there is one
  std::string voided;           // the number that home will never start it for
  int64_t job = 0;              // the job that reports it now, or did last
  uint64_t created_ms = 0;
  uint64_t step_ms = 0;  // when the step began
  std::optional<uint64_t> ended_ms;
  bool is_paused = false;
  bool wants_switch = false;  // a person said: now
  bool wants_cancel = false;
  bool wants_back = false;      // a person wants the machine here again
  bool is_vouched_off = false;  // … and vouches that it does not run at home and never will
  std::optional<images::PointId> point;  // that home holds
  std::string problem;                   // a sentence; empty: none
  // What was measured. Milliseconds and bytes.
  uint64_t differing = 0;     // of the first copy, by the survey
  uint64_t rounds = 0;        // that followed
  uint64_t last_written = 0;  // by the last of them
  uint64_t last_sync_ms = 0, last_copy_ms = 0, last_round_ms = 0;  // the third: when it ended, UTC
  uint64_t predicted_ms = 0;    // the pause, when it was last predicted
  uint64_t pause_begun_ms = 0;  // UTC
  uint64_t pause_ms = 0;        // measured; 0: not yet
};

class FailbackRecords {
 public:
  virtual ~FailbackRecords() = default;

  // Adds it and returns its id. Throws busy if another one of that instant VM is not over.
  virtual int64_t add_failback(const Failback& failback) = 0;
  virtual void save_failback(const Failback& failback) = 0;
  virtual std::optional<Failback> find_failback(int64_t id, const TenantScope& scope) = 0;
  // Newest first; with those that are over, at most `limit`.
  virtual std::vector<Failback> failbacks(const TenantScope& scope, bool over_too,
                                          uint32_t limit) = 0;
};

}  // namespace appliance::catalog
