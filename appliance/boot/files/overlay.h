// The overlays of instant VMs: qcow2 images over an export, which contain every write since the
// start.
//
// A dirty bitmap in each overlay, kOriginBitmap, records what changed since the boot point. It is
// empty when the overlay is, QEMU maintains it while the VM runs, and libvirt knows it as a
// checkpoint: so a sync of the VM reads only the overlay's changes. A QEMU that is killed leaves
// all bitmaps unusable. Then the overlay itself is used: it contains everything that was written
// since the boot point, and a bitmap of exactly that is rebuilt. It may list too much, never too
// little.
//
// Functions; thread-safe for different overlays. The VM must not be running, and the export need
// not.
#pragma once

#include <cstdint>
#include <string>

namespace appliance::boot {

// Not named as the agent names its own checkpoints, which it deletes when they are superseded.
constexpr const char* kOriginBitmap = "instant-origin";

enum class Tracking { off, on };

// Creates an empty overlay. Durable when it returns. Created without querying the export: its size
// is known.
void make_overlay(const std::string& path, const std::string& socket_path,
                  const std::string& disk_name, uint64_t size, Tracking tracking);

// After QEMU was killed or the appliance lost power: releases space that the overlay reserved and
// does not use. Throws corrupt, with what to do, if its tables contradict each other, busy if
// another process has it open; nothing is changed then.
void repair_overlay(const std::string& path);

// True if the overlay has the origin's bitmap and every bitmap in it was closed cleanly.
bool has_sound_bitmaps(const std::string& path);

// Replaces all bitmaps by the origin's, which lists what the overlay contains. On an error the
// overlay may have none, or one that lists too little: no checkpoint may name it then.
void rebuild_origin_bitmap(const std::string& path);

}  // namespace appliance::boot
