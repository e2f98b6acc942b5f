#include "agent/monitor/raw_tracking.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"

namespace agent::monitor {
namespace {

const Bitmap* find(const Node& node, const std::string& name) {
  auto found = std::find_if(node.bitmaps.begin(), node.bitmaps.end(),
                            [&](const Bitmap& bitmap) { return bitmap.name == name; });
  return found == node.bitmaps.end() ? nullptr : &*found;
}

std::string obstacle_of(const std::vector<Node>& nodes, const RawDisk& disk,
                        const MonitorRecord& record) {
  auto tracked = record.files.find(disk.name);
  if (tracked == record.files.end()) return "the disk was not tracked at the last point";
  if (tracked->second != disk.file) return "it is another image than at the last point";
  auto node = std::find_if(nodes.begin(), nodes.end(),
                           [&](const Node& each) { return each.name == disk.node; });
  for (const std::string& name : {record.bitmap, record.witness}) {
    const Bitmap* bitmap = node == nodes.end() ? nullptr : find(*node, name);
    if (bitmap == nullptr)
      return "its record of changes is gone: QEMU was restarted, the disk was attached again, or "
             "another program removed the record";
    if (bitmap->broken) return "its record of changes is broken";
    if (!bitmap->recording) return "its record of changes was switched off by another program";
  }
  return "";
}

// Names of images may hold passwords (of iSCSI), and a record and a note are read by many.
std::string fingerprint(const std::string& file) {
  return base::to_hex(base::sha256(base::as_bytes(file)));
}

}  // namespace

std::vector<std::string> bitmaps_of(const std::optional<MonitorRecord>& record) {
  if (!record) return {};
  return {record->bitmap, record->witness};
}

std::map<std::string, std::string> RawTracking::examine(
    const std::vector<RawDisk>& disks, const std::optional<MonitorRecord>& record) {
  remove_bitmaps(*monitor_, bitmaps_of(record));
  std::vector<Node> all = nodes(*monitor_);
  std::map<std::string, std::string> obstacles;
  old_ = record;
  for (const RawDisk& disk : disks) {
    RawDisk known{disk.name, disk.node, fingerprint(disk.file)};
    obstacles[disk.name] = record ? obstacle_of(all, known, *record)
                                  : "this agent has no record of what changed since the last point";
    disks_[disk.name] = std::move(known);
  }
  return obstacles;
}

void RawTracking::begin() {
  new_.bitmap = new_bitmap_name();
  new_.witness = new_bitmap_name();
  for (const auto& [name, disk] : disks_) {
    add_bitmap(*monitor_, disk.node, new_.bitmap);
    add_bitmap(*monitor_, disk.node, new_.witness);
    new_.files[name] = disk.file;
  }
}

std::string RawTracking::copy_of_changes(const std::string& disk) {
  const std::string& node = disks_.at(disk).node;
  std::vector<Node> all = nodes(*monitor_);
  // Again, at the latest moment: nothing keeps other programs from the bitmaps.
  std::string obstacle = obstacle_of(all, disks_.at(disk), *old_);
  if (!obstacle.empty()) throw base::Error(base::ErrorCode::io, obstacle);
  std::string name = new_bitmap_name();
  copy_bitmaps(*monitor_, node, name, bitmaps_of(old_));
  return name;
}

void RawTracking::keep_new() noexcept { remove_bitmaps(*monitor_, bitmaps_of(new_)); }

}  // namespace agent::monitor
