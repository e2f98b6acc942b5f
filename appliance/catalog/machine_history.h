// What has happened to a machine lately, for overviews of many machines. Values; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/verification_records.h"

namespace appliance::catalog {

constexpr size_t kHistoryDays = 30;

// 24 hours, counted back from the moment of the question: no time zone decides what a day is.
struct HistoryDay {
  uint32_t point_count = 0;  // points that arrived in it and still exist
  uint32_t pass_count = 0;   // test boots that began in it
  uint32_t fail_count = 0;
};

struct NewestTest {
  int64_t number = 0;
  std::string verdict;
  std::string reason;  // the decisive one; may be empty
  uint64_t started_ms = 0;
  uint32_t picture_count = 0;
};

struct MachineHistory {
  std::vector<HistoryDay> days = std::vector<HistoryDay>(kHistoryDays);  // the newest first
  std::optional<NewestTest> newest_test;     // of all that are known, whenever it began
  std::vector<RecoveryTime> recovery_times;  // of passes in these days, newest first; at most
                                             // kRecoveryFrom
};

using MachineHistories = std::map<std::string, MachineHistory, std::less<>>;  // by name

}  // namespace appliance::catalog
