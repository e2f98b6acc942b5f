#include "appliance/points/point_marking.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::points {
namespace {

using catalog::Hold;
using catalog::TenantName;
using catalog::TenantScope;
using catalog::Verification;

constexpr auto kTestBootsRead =
    static_cast<uint32_t>(catalog::VerificationRecords::kFullTestBootsKept);

std::string first_reason(const std::string& reasons) {
  auto list = base::find_json(reasons);
  if (!list || !list->is_array() || list->empty() || !list->front().is_string()) return "";
  return list->front().get<std::string>();
}

// Damaged ones are replaced: what the catalog knows is written again.
images::PointMarks marks_or_none(images::StoreReader& reader, const images::PointId& point) {
  try {
    return reader.marks(point);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::corrupt) throw;
    base::log().warn("{}", error.message());
    return {};
  }
}

}  // namespace

std::optional<images::BootMark> PointMarking::own_verdict(
    const std::vector<Verification>& newest_first, const images::PointId& point) const {
  for (const Verification& seen : newest_first) {
    if (seen.point != point || !seen.settled || seen.verdict.empty()) continue;
    return images::BootMark{seen.verdict,    first_reason(seen.reasons),
                            seen.started_ms, seen.recovery_ms,
                            node_.hex(),     name_};
  }
  return std::nullopt;
}

bool PointMarking::write(images::StoreWriter& writer, const images::PointId& point,
                         const std::optional<images::BootMark>& own, const Hold* hold) {
  images::PointMarks marks;
  images::PointMarks present = marks_or_none(writer.reader(), point);
  marks.boot = own ? own : present.boot;
  if (hold != nullptr) marks.hold = images::HoldMark{hold->reason, hold->placed_ms, hold->until_ms};
  // As they will be read: what is truncated must not look like a change each day.
  marks = images::decode_marks(images::encode_marks(marks), "marks");
  if (marks == present) return false;
  writer.set_marks(point, marks);
  return true;
}

void PointMarking::publish(const TenantName& tenant, const images::PointId& point) noexcept {
  try {
    auto owner = catalog_.find_owner(tenant, point);
    if (!owner) return;
    auto writer = stores_.require_writable(tenant);
    auto holds = catalog_.holds(tenant, base::now_ms());
    auto hold = holds.find(point);
    auto tests = catalog_.verifications(TenantScope(tenant), owner->machine_name, kTestBootsRead);
    write(*writer, point, own_verdict(tests, point), hold == holds.end() ? nullptr : &hold->second);
  } catch (const std::exception& error) {
    base::log().warn("the marks of point {} are written later: {}", point.hex(), error.what());
  }
}

uint64_t PointMarking::publish_all(const TenantName& tenant) {
  uint64_t count = 0;
  auto writer = stores_.require_writable(tenant);
  auto holds = catalog_.holds(tenant, base::now_ms());
  for (const catalog::Machine& machine : catalog_.machines(tenant)) {
    auto tests = catalog_.verifications(TenantScope(tenant), machine.name, kTestBootsRead);
    for (const catalog::PointRow& row : catalog_.points(tenant, machine.name)) {
      auto hold = holds.find(row.summary.id);
      try {
        count += write(*writer, row.summary.id, own_verdict(tests, row.summary.id),
                       hold == holds.end() ? nullptr : &hold->second)
                     ? 1
                     : 0;
      } catch (const base::Error& error) {
        if (error.code() == base::ErrorCode::not_found) continue;  // deleted meanwhile
        base::log().warn("the marks of point {} cannot be written: {}", row.summary.id.hex(),
                         error.message());
      }
    }
  }
  return count;
}

PointMarking::Found PointMarking::take_over(const TenantName& tenant) {
  Found found;
  auto writer = stores_.writer(tenant);
  uint64_t now_ms = base::now_ms();
  auto holds = catalog_.holds(tenant, now_ms);
  for (const images::PointSummary& point : writer->reader().points()) {
    try {
      images::PointMarks marks = writer->reader().marks(point.id);
      if (marks.boot && marks.boot->appliance != node_.hex()) ++found.tested_elsewhere;
      if (!marks.hold || holds.count(point.id) != 0) continue;
      Hold hold{point.id, marks.hold->reason, marks.hold->placed_ms, marks.hold->until_ms};
      if (hold.is_over(now_ms)) continue;
      catalog_.hold_point(tenant, hold);
      ++found.holds;
    } catch (const base::Error& error) {
      ++found.unreadable;
      base::log().warn("the marks of point {} are not taken over: {}", point.id.hex(),
                       error.message());
    }
  }
  return found;
}

std::optional<images::BootMark> PointMarking::tested_elsewhere(
    images::StoreReader& reader, const images::PointId& point) noexcept {
  try {
    std::optional<images::BootMark> found = reader.marks(point).boot;
    if (found && found->appliance != node_.hex()) return found;
  } catch (const std::exception& error) {
    base::log().warn("the marks of point {} are not shown: {}", point.hex(), error.what());
  }
  return std::nullopt;
}

}  // namespace appliance::points
