// What the figures of a restore's job say, whatever its target: a folder of the appliance (jobs of the
// kind "restore") or a host (jobs of the kind "host-restore"). Pure functions; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/catalog/records.h"

namespace appliance::restores {

constexpr std::array<std::string_view, 2> kRestoreKinds{"restore", "host-restore"};

bool is_restore(const catalog::Job& job);

struct RestoreTarget {
  std::string kind;  // "folder" or "host"; empty: not known
  std::string name;  // of the folder, or the host
};

// Bytes; none: not known (yet), or not counted for this target.
struct RestoreFigures {
  RestoreTarget target;
  bool is_survey = false;
  std::optional<uint64_t> size;       // of the disks
  std::optional<uint64_t> differing;  // the target held something else there
  std::optional<uint64_t> written;
  std::optional<uint64_t> read_back;  // and found equal
  std::optional<uint64_t> received;   // by a host, over the network
};

// Of a job that is_restore(). Figures that are damaged count as not known.
RestoreFigures restore_figures(const catalog::Job& job);

// "the host hv1", "the folder first"; "its target" if it is not known.
std::string describe_target(const RestoreTarget& target);

}  // namespace appliance::restores
