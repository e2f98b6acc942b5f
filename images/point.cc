#include "images/point.h"

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

template <typename Enum, size_t kCount>
Enum from_name(const std::array<std::string_view, kCount>& names, std::string_view name,
               const char* what) {
  for (size_t i = 0; i < kCount; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  throw base::Error(base::ErrorCode::invalid_argument,
                    "'" + std::string(name.substr(0, 40)) + "' is no " + what);
}

constexpr std::array<std::string_view, 3> kConsistencyNames{"crash", "file-system", "application"};
constexpr std::array<std::string_view, 3> kFirmwareNames{"unknown", "bios", "uefi"};

}  // namespace

std::string_view consistency_name(Consistency consistency) {
  return kConsistencyNames[static_cast<size_t>(consistency)];
}

Consistency consistency_from_name(std::string_view name) {
  return from_name<Consistency>(kConsistencyNames, name, "kind of consistency");
}

bool is_host_clock_wrong(uint64_t host_time_ms, uint64_t received_ms, uint64_t duration_ms) {
  if (host_time_ms > received_ms) return host_time_ms - received_ms > kPointClockTolerance_ms;
  uint64_t behind = received_ms - host_time_ms;
  return behind > kPointClockTolerance_ms && behind - kPointClockTolerance_ms > duration_ms;
}

std::string clock_note(uint64_t time_ms, const PointDates& dates) {
  if (!dates.host_clock_wrong) return "";
  bool ahead = dates.host_time_ms > time_ms;
  uint64_t apart = ahead ? dates.host_time_ms - time_ms : time_ms - dates.host_time_ms;
  return "the host's clock was " + base::format_duration_ms(apart) + (ahead ? " ahead" : " behind");
}

std::string_view firmware_name(Firmware firmware) {
  return kFirmwareNames[static_cast<size_t>(firmware)];
}

Firmware firmware_from_name(std::string_view name) {
  return from_name<Firmware>(kFirmwareNames, name, "kind of firmware");
}

const PointDisk& Point::disk(std::string_view name) const {
  std::string names;
  for (const PointDisk& disk : disks) {
    if (disk.name == name) return disk;
    names += (names.empty() ? "" : ", ") + disk.name;
  }
  throw base::Error(base::ErrorCode::not_found, "point " + id.hex().substr(0, 8) +
                                                    " has no disk '" + std::string(name) +
                                                    "'; it has " + names);
}

}  // namespace images
