#include "appliance/ingest/newest_point.h"

namespace appliance::ingest {

std::optional<images::wire::LastPoint> newest_point(images::StoreReader& reader,
                                                    const std::string& machine_name) {
  std::vector<images::PointSummary> points = reader.points_of(machine_name);
  if (points.empty()) return std::nullopt;
  images::Point point = reader.read_point(points.back().id);
  images::wire::LastPoint last;
  last.id = point.id;
  last.time_ms = point.time_ms;
  for (const images::PointDisk& disk : point.disks) last.disks.push_back({disk.name, disk.size});
  return last;
}

}  // namespace appliance::ingest
