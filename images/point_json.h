// The part of a point that only people and the boot need (names, definition, figures), as JSON: the
// private part of a manifest, and the details of a commit in the transfer protocol. docs/format.md
// names each field. Pure functions; thread-safe.
#pragma once

#include "base/bytes.h"
#include "images/point.h"
#include "images/point_sink.h"

namespace images {

// Everything except what the public part contains: ids, time, consistency, the disks' keys, sizes
// and roots.
base::Bytes encode_point_details(const Point& point);
// `disks` contains only the names. Throws corrupt for any other text.
Point decode_point_details(base::ByteView bytes);

// PointDetails as they are sent. Throws corrupt.
base::Bytes encode_details(const PointDetails& details);
PointDetails decode_details(base::ByteView bytes);

}  // namespace images
