// What the machine's own tools say about its disks and arrays, read from their output: a disk or an
// array that is about to take all points with it. Pure; the text is bounded by whoever reads it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::alerts {

struct HardwareProblem {
  std::string subject;  // "/dev/sda", "md0", "pool tank"
  std::string message;  // a sentence
};

// Of `smartctl --json -H -A DEVICE`: the disk says that it fails, or has lost sectors. None: nothing is
// wrong, or it says nothing.
std::optional<HardwareProblem> smart_problem(const std::string& device,
                                             const nlohmann::json& report);
// Of /proc/mdstat: arrays that lack a disk, also while they are being rebuilt.
std::vector<HardwareProblem> mdstat_problems(std::string_view mdstat);
// Of `zpool list -H -o name,health`.
std::vector<HardwareProblem> zpool_problems(std::string_view list);

// The free space of one disk, over time.
struct SpaceSample {
  uint64_t time_ms = 0;
  uint64_t free = 0;  // bytes
};
// Milliseconds until nothing is free, if it goes on as in all samples (least squares). None: less than
// three days are known, or it does not get less.
std::optional<uint64_t> time_until_full_ms(const std::vector<SpaceSample>& samples);

}  // namespace appliance::alerts
