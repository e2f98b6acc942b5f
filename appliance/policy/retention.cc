#include "appliance/policy/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "appliance/policy/window.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

constexpr uint32_t kMaxCount = 100'000;

[[noreturn]] void refuse(const std::string& problem) {
  throw base::Error(base::ErrorCode::invalid_argument, problem);
}

uint32_t parse_count(std::string_view text) {
  uint32_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value > kMaxCount) {
    refuse(fmt::format("'{}' is no number of points to keep; choose 0 to {}", text.substr(0, 40),
                       kMaxCount));
  }
  return value;
}

// The number of the period, ascending in time, that a local time lies in.
using Period = std::function<int64_t(int64_t)>;

int64_t month_of(int64_t local_ms) {
  using namespace std::chrono;
  year_month_day date{sys_days{days{local_ms / kDayMs}}};
  return int64_t{int{date.year()}} * 12 + unsigned{date.month()};
}

}  // namespace

Retention parse_retention(std::string_view text) {
  Retention retention;
  if (base::trim(text) == "all") return retention;
  const std::map<std::string, uint32_t Retention::*> kinds{
      {"last", &Retention::last},       {"hourly", &Retention::hourly},
      {"daily", &Retention::daily},     {"weekly", &Retention::weekly},
      {"monthly", &Retention::monthly}, {"yearly", &Retention::yearly}};
  for (const std::string& part : base::split(text, ',')) {
    std::vector<std::string> words = words_of(part);
    auto kind = words.size() == 2 ? kinds.find(words[0]) : kinds.end();
    if (kind == kinds.end()) {
      refuse(
          fmt::format("'{}' says not what to keep; write it like 'last 24, daily 7, weekly 4', "
                      "or 'all'",
                      base::trim(part).substr(0, 80)));
    }
    retention.*(kind->second) = parse_count(words[1]);
  }
  if (retention.keeps_all()) refuse("keep at least one point, or 'all'");
  return retention;
}

std::vector<images::PointId> points_to_delete(std::vector<DatedPoint> points,
                                              const Retention& retention, const TimeZone& zone) {
  std::vector<images::PointId> doomed;
  if (retention.keeps_all() || points.size() < 2) return doomed;
  std::sort(points.begin(), points.end(), [](const DatedPoint& a, const DatedPoint& b) {
    return a.time_ms != b.time_ms ? a.time_ms > b.time_ms : b.id < a.id;
  });
  std::vector<bool> kept(points.size(), false);
  kept[0] = true;
  for (size_t i = 0; i < points.size() && i < retention.last; ++i) kept[i] = true;

  auto keep = [&](uint32_t count, const Period& period) {
    std::optional<int64_t> previous;
    for (size_t i = 0; i < points.size() && count > 0; ++i) {
      int64_t number = period(zone.local_of(points[i].time_ms));
      if (previous && *previous == number) continue;
      previous = number;
      kept[i] = true;
      --count;
    }
  };
  // An hour that comes twice in autumn is two hours of syncs: hours are told apart by UTC.
  std::optional<int64_t> previous_hour;
  uint32_t hours = retention.hourly;
  for (size_t i = 0; i < points.size() && hours > 0; ++i) {
    int64_t hour = points[i].time_ms / kHourMs;
    if (previous_hour && *previous_hour == hour) continue;
    previous_hour = hour;
    kept[i] = true;
    --hours;
  }
  keep(retention.daily, [](int64_t local) { return local / kDayMs; });
  keep(retention.weekly, [](int64_t local) { return (local / kDayMs + 3) / 7; });
  keep(retention.monthly, month_of);
  keep(retention.yearly, [](int64_t local) { return (month_of(local) - 1) / 12; });
  for (size_t i = 0; i < points.size(); ++i) {
    if (!kept[i]) doomed.push_back(points[i].id);
  }
  return doomed;
}

}  // namespace appliance::policy
