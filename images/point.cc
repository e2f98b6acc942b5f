#include "images/point.h"

#include "base/enum_names.h"
#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

constexpr auto kConsistencies = base::enum_names<Consistency>(
    "a kind of consistency", {{Consistency::crash, "crash"},
                              {Consistency::file_system, "file-system"},
                              {Consistency::application, "application"}});
constexpr auto kFirmwares = base::enum_names<Firmware>(
    "a kind of firmware",
    {{Firmware::unknown, "unknown"}, {Firmware::bios, "bios"}, {Firmware::uefi, "uefi"}});

}  // namespace

std::string_view consistency_name(Consistency consistency) {
  return kConsistencies.name(consistency);
}

Consistency consistency_from_name(std::string_view name) { return kConsistencies.value(name); }

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

std::string_view firmware_name(Firmware firmware) { return kFirmwares.name(firmware); }

Firmware firmware_from_name(std::string_view name) { return kFirmwares.value(name); }

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
