// The content of a report to a client, as values: one tenant's machines over a period. Times are
// milliseconds since 1970 in UTC. Values; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/proved_recovery.h"
#include "appliance/catalog/records.h"
#include "base/bytes.h"

namespace appliance::report {

struct ReportedBoot {
  uint64_t started_ms = 0;
  uint64_t point_time_ms = 0;
  std::string verdict;  // "pass", "fail", "inconclusive"
  std::vector<std::string> reasons;
  std::optional<uint64_t> recovery_ms;
  base::Bytes screen_png;  // the last picture; empty: none
};

struct ReportedMachine {
  std::string name;
  bool is_protected = false;
  bool is_verified = false;                // its policy requires test boots
  size_t point_count = 0;                  // present now
  std::optional<uint64_t> latest_ms;       // its newest point, up to the period's end
  uint64_t worst_gap_ms = 0;               // the longest time without a newer point, in the period
  std::optional<uint64_t> rpo_ms, rto_ms;  // targets of its policy
  std::optional<ReportedBoot> last_boot;   // of the period
  size_t boot_count = 0, pass_count = 0;   // of the period
  catalog::ProvedRecovery recovery;
  std::vector<uint64_t> recovery_ms;  // of the newest passes up to the period's end, oldest first
};

struct TenantReport {
  catalog::TenantName tenant;
  uint64_t from_ms = 0, to_ms = 0;  // to_ms is exclusive
  uint64_t made_ms = 0;
  std::string timezone = "UTC";
  std::vector<ReportedMachine> machines;           // by name
  std::vector<catalog::Alert> alerts;              // open at any time of the period, newest first
  std::optional<catalog::StoreCheck> store_check;  // the last one
};

}  // namespace appliance::report
