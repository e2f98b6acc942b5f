// The overlays of instant VMs: qcow2 images over an export, which hold every write since the start.
//
// What changed since the boot point is told by a dirty bitmap in each overlay, kOriginBitmap. It is
// empty when the overlay is, QEMU keeps it while the VM runs, and libvirt knows it as a checkpoint:
// so a sync of the VM reads the overlay's changes alone. A QEMU that is killed leaves all bitmaps
// unusable. Then the overlay itself tells: what it holds is all that was written since the boot
// point, and a bitmap of just that is made anew. It may say too much, never too little.
//
// Functions; thread-safe for different overlays. The VM must not run, and the export need not.
#pragma once

#include <cstdint>
#include <string>

namespace appliance::boot {

// Not named as the agent names its own checkpoints, which it deletes when they are superseded.
constexpr const char* kOriginBitmap = "instant-origin";

enum class Tracking { off, on };

// An empty overlay. Durable when it returns. Made without asking the export: its size is known.
void make_overlay(const std::string& path, const std::string& socket_path,
                  const std::string& disk_name, uint64_t size, Tracking tracking);

// After QEMU was killed or the appliance lost power: gives back space that the overlay reserved
// and does not use. Throws corrupt, with what to do, if its tables contradict each other, busy if
// another process has it open; nothing is changed then.
void repair_overlay(const std::string& path);

// True if the overlay has the origin's bitmap and every bitmap in it was closed in order.
bool has_sound_bitmaps(const std::string& path);

// Replaces all bitmaps by the origin's, which tells what the overlay holds. On an error the overlay
// may have none, or one that says too little: no checkpoint may name it then.
void rebuild_origin_bitmap(const std::string& path);

}  // namespace appliance::boot
