// What the catalog keeps about the keeping of points. Values; times are milliseconds since 1970 in
// UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "images/ids.h"

namespace appliance::catalog {

// Somebody wants the point kept, whatever a policy says.
struct Hold {
  images::PointId point;
  std::string reason;  // may be empty
  uint64_t placed_ms = 0;
  std::optional<uint64_t> until_ms;  // none: until it is released

  bool is_over(uint64_t now_ms) const { return until_ms && *until_ms <= now_ms; }
};

// Which rule the removals of a machine's points follow, and which one waits (retention/plan.h).
struct RetentionMark {
  std::string applied;
  std::string wanted;
  uint64_t wanted_since_ms = 0;
};

// Whose point it is.
struct PointOwner {
  images::MachineId machine;
  std::string machine_name;
};

// How much of everything about a machine there is.
struct MachineTraces {
  bool is_known = false;      // it has had a point, or a host claimed it
  bool is_protected = false;  // an agent or an operator spoke of it
  uint64_t point_count = 0;
  uint64_t test_boot_count = 0;
  uint64_t alert_count = 0;
  uint64_t job_count = 0;
};

// What prune() keeps.
struct PruneLimits {
  uint64_t finished_jobs = 10'000;  // the newest ones
  uint64_t job_log_days = 90;       // after the job ended
  uint64_t alert_days = 400;        // after it closed
  uint64_t token_days = 30;         // after its use or its end; the same for holds that are over
  uint64_t rows = 1000;             // of each kind that go at most at once
};

// What prune() removed: rows.
struct PruneCounts {
  uint64_t jobs = 0, job_logs = 0, alerts = 0, tokens = 0, reports = 0, holds = 0, gaps = 0;
  uint64_t sum() const { return jobs + job_logs + alerts + tokens + reports + holds + gaps; }
};

}  // namespace appliance::catalog
