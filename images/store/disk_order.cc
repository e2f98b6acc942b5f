#include "images/store/disk_order.h"

#include <map>

#include "base/error.h"
#include "base/log.h"

namespace images {

void DiskOrder::want(const ChunkId& id, size_t group) {
  if (wanted_.size() < kMaxChunks) wanted_.try_emplace(id, Wanted{kNowhere, group});
}

void DiskOrder::find_places(const std::stop_token& stop) {
  if (wanted_.empty()) return;
  std::map<MachineId, format::PublicManifest> newest;
  store_.index().read()->for_each_point(
      [&](const format::PublicManifest& point) { newest.insert_or_assign(point.machine, point); });
  for (const auto& [machine, point] : newest) {
    for (const auto& disk : point.disks) {
      try {
        walk(disk.root, store_.shape.height - 1, stop);
      } catch (const base::Error& error) {
        // The point may have been deleted meanwhile, or be damaged, which a check reports.
        base::log().debug("the order of a disk is not known: {}", error.message());
      }
    }
  }
}

void DiskOrder::walk(const ChunkId& id, uint32_t level, const std::stop_token& stop) {
  if (id.is_zero() || nodes_read_ >= kMaxNodes || stop.stop_requested()) return;
  ++nodes_read_;
  auto node = store_.records().read_node(id);
  for (const ChunkId& child : node->children) {
    if (level > 0) {
      walk(child, level - 1, stop);
      continue;
    }
    auto found = wanted_.find(child);
    if (found == wanted_.end() || found->second.place != kNowhere) continue;
    found->second.place = next_place_++;
    first_places_.try_emplace(found->second.group, found->second.place);
  }
}

uint64_t DiskOrder::place_of(const ChunkId& id) const {
  auto found = wanted_.find(id);
  return found == wanted_.end() ? kNowhere : found->second.place;
}

uint64_t DiskOrder::first_place(size_t group) const {
  auto found = first_places_.find(group);
  return found == first_places_.end() ? kNowhere : found->second;
}

}  // namespace images
