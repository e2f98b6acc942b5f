#include "images/point_copy.h"

#include <algorithm>

namespace images {

SyncPlan plan_of_copy(const Point& point, const std::optional<Point>& base) {
  SyncPlan plan{point.machine_name, {}};
  for (const PointDisk& disk : point.disks) {
    PlannedDisk planned{disk.name, disk.size, std::nullopt};
    if (base) {
      bool same = std::any_of(base->disks.begin(), base->disks.end(), [&](const PointDisk& other) {
        return other.name == disk.name && other.size == disk.size;
      });
      if (same) planned.base = base->id;
    }
    plan.disks.push_back(planned);
  }
  return plan;
}

PointDetails details_of_copy(const Point& point, const StoreId& store, const PointMarks& marks) {
  PointDetails details;
  details.host = point.host;
  details.time_ms = point.dates.host_time_ms;
  details.consistency = point.consistency;
  details.definition = point.definition;
  details.figures = point.figures;
  details.note = point.note;
  details.lineage = point.lineage;
  if (!details.lineage.origin) details.lineage.origin = PointOrigin{store, point.id};
  details.first_dates = FirstDates{point.time_ms, point.dates.order, point.dates.dated_by_host,
                                   point.dates.host_clock_wrong};
  details.marks = marks;
  return details;
}

}  // namespace images
