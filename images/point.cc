#include "images/point.h"

#include <array>

#include "base/error.h"

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
