// A judged test boot as the catalog keeps it. Values; times are milliseconds since 1970 in UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "images/ids.h"

namespace appliance::catalog {

struct Verification {
  int64_t number = 0;  // 1, 2, 3, …
  std::string tenant;
  std::string machine_name;
  images::PointId point;
  uint64_t point_time_ms = 0;           // when it was taken in
  uint64_t point_order = 0;             // in its machine's timeline (images::PointDates)
  std::string why;                      // "order", "sync", "nightly", "bisect"
  std::string verdict;                  // "pass", "fail", "inconclusive"
  std::string reasons;                  // JSON: an array of sentences, the decisive one first
  std::string checks;                   // JSON: an array of what answered, "agent", "tcp:22", …
  std::string evidence;                 // JSON: an array of what was seen, as it was learned
  std::string serial;                   // the end of the serial console's log
  std::optional<uint64_t> recovery_ms;  // from the order until all that is demanded answered
  uint64_t started_ms = 0;
  uint64_t begun_steady_ms = 0;  // started_ms by the steady clock; not kept
  uint64_t duration_ms = 0;
  // Since QEMU was started: when the decisive signal was seen (nothing where it was that nothing
  // came), and when the verdict was said.
  std::optional<uint64_t> decisive_ms;
  uint64_t judged_ms = 0;
  bool settled = true;  // false: a pass that is still watched on, and may be taken back
  uint32_t picture_count = 0;
};

// What the machine must show in a test boot, beyond being up.
struct MachineChecks {
  std::string asked = "[]";    // JSON: an array of checks that people demand
  uint64_t learn_from_ms = 0;  // test boots before that teach nothing
};

// How long one passed test boot took, without its evidence.
struct RecoveryTime {
  uint64_t started_ms = 0;
  uint64_t recovery_ms = 0;
};

struct VerdictCounts {
  size_t all = 0;
  size_t passed = 0;
};

// What the newest point of a machine that was tested came to.
struct NewestVerdict {
  std::string verdict;
  std::string reason;  // the decisive one; may be empty
  uint64_t point_time_ms = 0;
  uint64_t started_ms = 0;
};

struct VerificationPicture {
  uint64_t at_ms = 0;  // since QEMU was started
  std::string text;    // what was recognised on it
  base::Bytes png;
};

}  // namespace appliance::catalog
