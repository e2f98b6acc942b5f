// A point's lineage as tagged fields (base/tagged_fields.h; docs/format.md, "Fields of a point"):
// in manifests, in the index, and on the wire, where COMMIT has one more. Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "images/point.h"
#include "images/point_sink.h"

namespace images {

// The fields alone; empty for a lineage that says nothing.
base::Bytes encode_lineage(const PointLineage& lineage);
// Throws corrupt, naming `what`, for bytes that are no fields, and unsupported for a field that has
// to be known and is not.
PointLineage decode_lineage(base::ByteView fields, std::string_view what);

// Of a COMMIT: the lineage and, for a copy, how the point was dated first.
// and what is known about it.
base::Bytes encode_commit_fields(const PointLineage& lineage,
                                 const std::optional<FirstDates>& first_dates,
                                 const PointMarks& marks = {});
struct CommitFields {
  PointLineage lineage;
  std::optional<FirstDates> first_dates;
  PointMarks marks;
};
// As decode_lineage(); an origin and first dates come together, and marks only with them, or it is
// corrupt.
CommitFields decode_commit_fields(base::ByteView fields, std::string_view what);

}  // namespace images
