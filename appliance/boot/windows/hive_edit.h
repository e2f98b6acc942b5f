// What is changed in the SYSTEM hive of a Windows so that it starts on other hardware, and how the
// change is taken back. Only for muletto-windows, which runs confined: libhivex reads what a guest
// wrote. Not thread-safe.
//
// In each control set: the drivers of the disk controllers that every Windows brings along get the
// start type 0 (loaded by the boot loader), drivers of network cards that were disabled get 3 (loaded
// on demand), and the key StartOverride below either, which would overrule it, is removed. A driver
// that the hive does not have is not added: its file would be missing, too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace appliance::boot::windows {

// Changes the hive in the file `path` and returns
//   {"changes": [...], "virtio_disk": bool, "virtio_network": bool, "fast_start": bool}
// A change is {"key": path with backslashes, "before": number, "after": number}, of the value
// "Start", or {"key": ..., "removed": [{"name", "type", "data" in hex}, ...]} for a whole key.
// Nothing is written if nothing has to be changed. `path` is replaced in place; it is useless after
// an error. Throws corrupt for a file that is not a whole hive, unsupported, with what to do, for
// one whose newest changes are only in its log.
nlohmann::json prepare_hive(const std::string& path);

// Takes back `changes` as prepare_hive() returned them, the last first. A start type that is no
// longer what the change made it stays: someone else has decided. Returns how many were taken back.
// Throws corrupt.
size_t restore_hive(const std::string& path, const nlohmann::json& changes);

}  // namespace appliance::boot::windows
