// What is changed in the SYSTEM hive of a Windows so that it starts on other hardware, and how the
// change is taken back. Only for muletto-windows, which runs confined: libhivex reads what a guest
// wrote. Functions; thread-safe for different hives.
//
// In each control set: the drivers of the disk controllers that every Windows brings along get the
// start type 0 (loaded by the boot loader), drivers of network cards that were disabled get 3 (loaded
// on demand), and a number below the driver's key StartOverride, which would overrule it, becomes
// the same. Only numbers that exist are changed, each in its place: the hive keeps its size and its
// keys, so it can be written back into the clusters that it has. A driver that the hive does not
// have is not added: its file would be missing, too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"

namespace appliance::boot::windows {

// Changes `hive`, which must be clean (hive_log.h), and returns
//   {"changes": [...], "virtio_disk": bool, "virtio_scsi": bool, "virtio_network": bool,
//    "fast_start": bool}
// A change is {"key": path with backslashes, "value": name, "before": number, "after": number}. The
// virtio drivers are those that every control set starts, and that have served a device of that
// kind. `scratch_path` is a file that is written
// for libhivex. Throws corrupt for what is not a whole hive; `hive` is as it was then.
nlohmann::json prepare_hive(base::Bytes& hive, const std::string& scratch_path);

// Takes back `changes` as prepare_hive() returned them, the last first. A number that is no longer
// what the change made it stays: someone else has decided. Returns how many were taken back. Throws
// as above.
size_t restore_hive(base::Bytes& hive, const std::string& scratch_path,
                    const nlohmann::json& changes);

}  // namespace appliance::boot::windows
