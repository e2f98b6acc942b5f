// Copies a point of one store into another, where it is the same point: the plan of such a sync, and
// what it commits. The content goes through the sync engine, from the disks of a StoreReader into
// any PointSink. Pure functions; thread-safe.
#pragma once

#include <optional>

#include "images/point.h"
#include "images/point_sink.h"

namespace images {

// `base`: a point that both stores have; chunks that its disks of the same name and size have at the
// same place are stored already. None: nothing is assumed.
SyncPlan plan_of_copy(const Point& point, const std::optional<Point>& base = std::nullopt);

// `store` is the one that `point` was read from. A copy of a copy keeps the first origin.
// `marks`: what is known about it there, which the copy brings along.
PointDetails details_of_copy(const Point& point, const StoreId& store,
                             const PointMarks& marks = {});

}  // namespace images
