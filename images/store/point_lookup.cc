#include "images/store/point_lookup.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace images {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

std::string PointLookup::machine_name_of(const PublicManifest& point) {
  {
    auto names = names_.lock();
    auto found = names->find(point.machine);
    if (found != names->end()) return found->second;
  }
  try {
    std::string name = store_.read_point(point.machine, point.id).machine_name;
    (*names_.lock())[point.machine] = name;
    return name;
  } catch (const Error& error) {
    // A damaged manifest, or a missing key, must not hide the other points.
    return "(" + point.machine.hex().substr(0, 8) + ")";
  }
}

PointSummary PointLookup::summary_of(const PublicManifest& point) {
  PointSummary summary{point.id,          point.machine, machine_name_of(point), point.time_ms, 0,
                       point.consistency, point.dates,   point.lineage};
  for (const auto& disk : point.disks) summary.size += disk.size;
  return summary;
}

std::vector<PointSummary> PointLookup::points() {
  std::vector<PublicManifest> manifests;
  store_.index().read()->for_each_point(
      [&](const PublicManifest& point) { manifests.push_back(point); });
  std::vector<PointSummary> points;
  for (const PublicManifest& point : manifests) points.push_back(summary_of(point));
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.machine_name < b.machine_name; });
  return points;
}

std::vector<PointSummary> PointLookup::points_of(std::string_view machine_name) {
  std::vector<PointSummary> points;
  for (const PublicManifest& point :
       store_.index().read()->points_of(store_.hasher.machine_id(machine_name))) {
    points.push_back(summary_of(point));
    points.back().machine_name = machine_name;
  }
  return points;
}

PublicManifest PointLookup::find_manifest(const PointId& id) {
  auto point = store_.index().read()->find_point(id);
  if (!point) throw Error(ErrorCode::not_found, "there is no point " + id.hex());
  return *point;
}

Point PointLookup::read_point(const PointId& id) {
  return store_.read_point(find_manifest(id).machine, id);
}

PointId PointLookup::find_point(std::string_view selector) {
  size_t at = selector.rfind('@');
  if (at == std::string_view::npos) return find_by_prefix(selector);
  return find_by_time(selector.substr(0, at), selector.substr(at + 1));
}

PointId PointLookup::find_by_prefix(std::string_view text) {
  std::string digits(text);
  std::transform(digits.begin(), digits.end(), digits.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  bool good = digits.size() >= 4 && digits.size() <= 32 &&
              digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!good) {
    throw Error(ErrorCode::invalid_argument,
                "'" + digits.substr(0, 80) +
                    "' does not name a point: give an id, 4 or more digits of one, "
                    "MACHINE@latest or MACHINE@TIME");
  }
  auto found = store_.index().read()->points_with_prefix(digits, 2);
  if (found.empty()) throw Error(ErrorCode::not_found, "there is no point " + digits);
  if (found.size() > 1) {
    throw Error(ErrorCode::invalid_argument,
                "'" + digits + "' matches more than one point; give more digits");
  }
  return found.front();
}

PointId PointLookup::find_by_time(std::string_view machine_name, std::string_view time) {
  auto points = store_.index().read()->points_of(store_.hasher.machine_id(machine_name));
  std::string name(machine_name);
  if (points.empty())
    throw Error(ErrorCode::not_found, "there is no point of a machine '" + name + "'");
  if (time == "latest") return newest_of(points, base::now_ms())->id;
  // Times are shown to the second: the one that is shown for a point has to select it.
  uint64_t limit_s = base::parse_time_ms(time) / 1000;
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (point->time_ms / 1000 <= limit_s) return point->id;
  }
  auto oldest = std::ranges::min_element(points, {}, &PublicManifest::time_ms);
  throw Error(ErrorCode::not_found, "the oldest point of '" + name + "' is of " +
                                        base::format_time_ms(oldest->time_ms) + ", after " +
                                        std::string(time));
}

}  // namespace images
