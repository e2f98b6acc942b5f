#include "restore/point_names.h"

#include "base/text.h"

namespace restore {
namespace {

constexpr size_t kMaxPoints = 50;  // more are not read on a terminal

}  // namespace

std::vector<base::Candidate> point_names(images::StoreReader& store, const std::string& begun) {
  std::vector<base::Candidate> names;
  size_t at = begun.rfind('@');
  if (at == std::string::npos) {
    for (const images::PointSummary& point : store.points()) {
      std::string name = point.machine_name + "@latest";
      if (names.empty() || names.back().text != name) names.push_back({name, ""});
      names.back().description = "point of " + base::format_time_ms(point.time_ms);
    }
    return names;
  }
  std::string machine = begun.substr(0, at);
  std::vector<images::PointSummary> points = store.points_of(machine);
  if (!points.empty()) names.push_back({machine + "@latest", "its newest point"});
  for (size_t i = points.size(); i-- > 0 && names.size() <= kMaxPoints;) {
    std::string name = machine + "@" + base::format_time_ms(points[i].time_ms);
    if (names.back().text == name) continue;  // of one second the newest is meant
    names.push_back({name, std::string(images::consistency_name(points[i].consistency))});
  }
  return names;
}

}  // namespace restore
