#include "images/point_fields.h"

#include "base/error.h"
#include "base/tagged_fields.h"

namespace images {
namespace {

using base::ByteReader;
using base::ByteView;
using base::ByteWriter;

constexpr uint16_t kParent = 1;      // point id
constexpr uint16_t kOrigin = 2;      // store id, point id
constexpr uint16_t kFirstDates = 3;  // of a COMMIT: u64 time, u64 order, u32 flags
constexpr uint16_t kMarks = 4;       // of a COMMIT: JSON, as in the file of marks
constexpr uint32_t kDatedByHost = 1;
constexpr uint32_t kHostClockWrong = 2;

void write_lineage(ByteWriter& out, const PointLineage& lineage) {
  if (lineage.parent) base::write_field(out, kParent, lineage.parent->view());
  if (!lineage.origin) return;
  ByteWriter value;
  value.view(lineage.origin->store.view());
  value.view(lineage.origin->point.view());
  base::write_field(out, kOrigin, value.bytes());
}

template <typename AnyId>
AnyId read_id(ByteReader& in) {
  return AnyId{in.array<AnyId::kSize>()};
}

// False for another field.
bool read_lineage(const base::TaggedField& field, std::string_view what, PointLineage& lineage) {
  ByteReader in(field.value, what);
  switch (field.number) {
    case kParent: lineage.parent = read_id<PointId>(in); break;
    case kOrigin: {
      PointOrigin origin;
      origin.store = read_id<StoreId>(in);
      origin.point = read_id<PointId>(in);
      lineage.origin = origin;
      break;
    }
    default: return false;
  }
  in.expect_end();
  return true;
}

FirstDates read_first_dates(const base::TaggedField& field, std::string_view what) {
  ByteReader in(field.value, what);
  FirstDates dates;
  dates.time_ms = in.u64();
  dates.order = in.u64();
  uint32_t flags = in.u32();
  in.expect_end();
  dates.dated_by_host = (flags & kDatedByHost) != 0;
  dates.host_clock_wrong = (flags & kHostClockWrong) != 0;
  bool good = (flags & ~(kDatedByHost | kHostClockWrong)) == 0 && is_possible(dates);
  if (!good) in.fail("has impossible dates");
  return dates;
}

}  // namespace

base::Bytes encode_lineage(const PointLineage& lineage) {
  ByteWriter out;
  write_lineage(out, lineage);
  return out.take();
}

PointLineage decode_lineage(ByteView fields, std::string_view what) {
  PointLineage lineage;
  for (const base::TaggedField& field : base::read_fields(fields, what)) {
    if (!read_lineage(field, what, lineage)) base::pass_over(field, what);
  }
  return lineage;
}

base::Bytes encode_commit_fields(const PointLineage& lineage,
                                 const std::optional<FirstDates>& first_dates,
                                 const PointMarks& marks) {
  ByteWriter out;
  write_lineage(out, lineage);
  if (first_dates) {
    ByteWriter value;
    value.u64(first_dates->time_ms);
    value.u64(first_dates->order);
    value.u32((first_dates->dated_by_host ? kDatedByHost : 0) |
              (first_dates->host_clock_wrong ? kHostClockWrong : 0));
    base::write_field(out, kFirstDates, value.bytes());
  }
  if (!marks.empty()) base::write_field(out, kMarks, encode_marks(marks));
  return out.take();
}

CommitFields decode_commit_fields(ByteView fields, std::string_view what) {
  CommitFields found;
  for (const base::TaggedField& field : base::read_fields(fields, what)) {
    if (read_lineage(field, what, found.lineage)) continue;
    if (field.number == kFirstDates) found.first_dates = read_first_dates(field, what);
    else if (field.number == kMarks) found.marks = decode_marks(field.value, what);
    else base::pass_over(field, what);
  }
  if (!found.marks.empty() && !found.lineage.origin) {
    throw base::Error(base::ErrorCode::corrupt,
                      std::string(what) + " says what is known about a point that is no copy");
  }
  if (found.lineage.origin.has_value() != found.first_dates.has_value()) {
    throw base::Error(
        base::ErrorCode::corrupt,
        std::string(what) + " says where a point is from, but not when, or not where");
  }
  return found;
}

}  // namespace images
