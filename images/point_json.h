// The part of a point that only people and the boot need (names, definition, figures), as JSON: the
// private part of a manifest, and the details of a commit on the wire. docs/format.md names each
// field. Pure functions; thread-safe.
#pragma once

#include "base/bytes.h"
#include "images/point.h"
#include "images/point_sink.h"

namespace images {

// Everything but what the public part holds: ids, time, consistency, the disks' keys, sizes and
// roots.
base::Bytes encode_point_details(const Point& point);
// `disks` holds the names only. Throws corrupt for anything that is not such a text.
Point decode_point_details(base::ByteView bytes);

// PointDetails as they travel. Throws corrupt.
base::Bytes encode_details(const PointDetails& details);
PointDetails decode_details(base::ByteView bytes);

}  // namespace images
