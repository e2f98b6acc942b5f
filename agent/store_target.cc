#include "agent/store_target.h"

#include "images/store/place/open_place.h"

namespace agent {

StoreTarget::StoreTarget(const std::string& directory, const images::KeySource& key)
    : directory_(directory),
      writer_(images::StoreWriter::open(images::open_place(directory), key)) {}

std::optional<BasePoint> StoreTarget::last_point(const std::string& machine_name) {
  std::vector<images::PointSummary> points = writer_->reader().points_of(machine_name);
  if (points.empty()) return std::nullopt;
  images::Point point = writer_->reader().read_point(points.back().id);
  BasePoint last{point.id, point.time_ms, {}};
  for (const images::PointDisk& disk : point.disks) last.disks.push_back({disk.name, disk.size});
  return last;
}

}  // namespace agent
