// Decides, per disk, whether the changes since the last point are known or everything has to be
// read.
//
// A bitmap is used only if it continues from the target's newest point of the machine: the agent's
// record says which checkpoint was made at the same instant as which point, and that point is still
// the newest. In any other case (no record, another point, a missing checkpoint, a new or resized
// disk) the disk is read in full, and the reason is given. Even then, chunks that the target has
// are not sent: they are compared by hash.
//
// Records are small files in the state folder, one per machine. Functions are thread-safe; a
// machine's lock (machine_lock.h) keeps two syncs of it apart.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/target.h"
#include "images/ids.h"

namespace agent {

// The bitmaps that QEMU keeps in memory, of disks whose images cannot hold one: two of each disk,
// made shortly before the instant of the record's newest point (agent/monitor/raw_tracking.h).
struct MonitorRecord {
  std::string bitmap;
  std::string witness;
  std::map<std::string, std::string> files;  // disk: a hash of what QEMU says it is
};

// The checkpoint was made at the instant of `origin`: a disk differs from that point at most where
// the bitmap in its image says so. This holds whatever happens to the image, since content and
// bitmap are in one file: even for an older copy of it that someone put back. `point` is the
// machine's newest: `origin` itself, or a later one, made of the domain while it was shut off, when
// no new checkpoint could be made.
struct TrackingRecord {
  images::PointId point;
  images::PointId origin;
  std::string domain_uuid;
  std::string checkpoint;
  std::vector<std::string> disks;  // those that have a bitmap in it
  std::optional<MonitorRecord> monitor{};
};

// A checkpoint that another program made and guarantees: for an instant VM, it was made when the
// VM's disks were those of the point, before its guest ran. It is never deleted, so the sync can
// always continue from it when the record cannot be used, at the price of reading more.
struct Origin {
  images::PointId point;
  std::string checkpoint;
};

// A disk as it is now.
struct TrackedDisk {
  std::string name;
  std::string format;
  uint64_t size = 0;       // bytes
  std::string obstacle{};  // why it cannot be tracked although its format can be; empty: none
  // QEMU's memory holds its record of changes, not its image.
  bool by_monitor = false;
};

// What a decision is based on.
struct TrackingEvidence {
  bool full_wanted = false;  // by the user
  std::optional<BasePoint> last;
  std::optional<TrackingRecord> record;
  std::string domain_uuid;
  bool checkpoint_exists = false;             // the record's, in libvirt
  std::vector<std::string> checkpoint_disks;  // which libvirt says have a bitmap in it
  std::optional<Origin> origin;
  std::vector<std::string> origin_disks;  // which libvirt says have a bitmap in the origin's
  // Of each disk that is tracked by QEMU's monitor: why the record's bitmaps do not count; empty if
  // they do (agent/monitor/raw_tracking.h).
  std::map<std::string, std::string> monitor_obstacles{};
};

struct DiskDecision {
  bool incremental = false;
  std::string reason;        // for a full read, as a phrase
  images::PointId since{};   // of an incremental one: the point the bitmap continues from
  std::string checkpoint{};  // and the checkpoint it was made at; empty: QEMU's memory has it
};

// A bitmap can only be kept inside such an image.
bool can_track(std::string_view format);

DiskDecision decide(const TrackingEvidence& evidence, const TrackedDisk& disk);

// "vda: read in full: …; vdb: …", for a point's note; disks with one reason together.
std::string full_read_note(const std::vector<std::pair<std::string, DiskDecision>>& decisions);

// None if there is none, or it cannot be read (which is logged): both mean a full read.
std::optional<TrackingRecord> load_tracking(const std::string& state_directory,
                                            std::string_view machine_name);
// Durable when it returns.
void save_tracking(const std::string& state_directory, std::string_view machine_name,
                   const TrackingRecord& record);
void forget_tracking(const std::string& state_directory, std::string_view machine_name);
// All readable records, by machine name.
std::vector<std::pair<std::string, TrackingRecord>> list_tracking(
    const std::string& state_directory);

}  // namespace agent
