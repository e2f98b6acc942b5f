#include "appliance/retention/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <string_view>
#include <tuple>

namespace appliance::retention {
namespace {

using policy::kDayMs;
using policy::kHourMs;

// The number of the period that contains point `i`; points are sorted newest first.
using Period = std::function<int64_t(size_t i)>;

int64_t month_of(int64_t local_ms) {
  using namespace std::chrono;
  year_month_day date{sys_days{days{local_ms / kDayMs}}};
  return int64_t{int{date.year()}} * 12 + unsigned{date.month()};
}

class Planner {
 public:
  Planner(std::vector<Candidate> points, const policy::TimeZone& zone)
      : points_(std::move(points)), zone_(zone) {
    std::sort(points_.begin(), points_.end(), [](const Candidate& a, const Candidate& b) {
      return std::tie(b.order, b.time_ms, b.id) < std::tie(a.order, a.time_ms, a.id);
    });
    for (const Candidate& point : points_)
      decisions_.push_back({point.id, point.time_ms, false, false, point.is_good(), {}});
  }

  void apply(const policy::Retention& retention) {
    if (retention.keeps_all()) {
      for (size_t i = 0; i < points_.size(); ++i) keep_by_rule(i, "all");
      return;
    }
    auto local = [this](size_t i) { return zone_.local_of(points_[i].time_ms); };
    apply("last", retention.last, [](size_t i) { return -static_cast<int64_t>(i); });
    // An hour that occurs twice in autumn is two hours of syncs: hours are distinguished in UTC.
    apply("hourly", retention.hourly, [&](size_t i) { return points_[i].time_ms / kHourMs; });
    apply("daily", retention.daily, [&](size_t i) { return local(i) / kDayMs; });
    apply("weekly", retention.weekly, [&](size_t i) { return (local(i) / kDayMs + 3) / 7; });
    apply("monthly", retention.monthly, [&](size_t i) { return month_of(local(i)); });
    apply("yearly", retention.yearly, [&](size_t i) { return (month_of(local(i)) - 1) / 12; });
  }

  // What is kept whatever the rules say.
  void protect() {
    auto keep_first = [this](const char* reason, auto&& is_it) {
      for (size_t i = 0; i < points_.size(); ++i) {
        if (is_it(points_[i])) return keep(i, reason);
      }
    };
    keep_first("the newest point", [](const Candidate&) { return true; });
    keep_first("the newest undamaged point",
               [](const Candidate& each) { return !each.is_damaged; });
    keep_first(kNewestPassed, [](const Candidate& each) {
      return !each.is_damaged && each.verdict == TestVerdict::passed;
    });
    for (size_t i = 0; i < points_.size(); ++i) {
      if (!points_[i].held.empty()) keep(i, "held: " + points_[i].held);
      if (!points_[i].use.empty()) keep(i, points_[i].use);
    }
  }

  std::vector<Decision> finish() {
    for (size_t i = 0; i < points_.size(); ++i) {
      std::vector<std::string>& reasons = decisions_[i].reasons;
      if (decisions_[i].stays) continue;
      reasons.emplace_back("no rule of the policy keeps it");
      if (points_[i].is_damaged) reasons.emplace_back("it is damaged, so it does not count");
      if (points_[i].verdict == TestVerdict::failed)
        reasons.emplace_back("its test boot failed, so it does not count");
    }
    return std::move(decisions_);
  }

 private:
  void keep(size_t i, std::string reason) {
    decisions_[i].stays = true;
    decisions_[i].reasons.push_back(std::move(reason));
  }
  void keep_by_rule(size_t i, std::string reason) {
    decisions_[i].is_by_rule = true;
    keep(i, std::move(reason));
  }

  void apply(std::string_view name, uint32_t count, const Period& period) {
    if (count == 0) return;
    // Sets, since a clock that was set back may cause a period to occur twice.
    std::set<int64_t> good, bad;  // periods so far that have such a point
    for (size_t i = 0; i < points_.size(); ++i) {
      int64_t number = period(i);
      if (good.contains(number)) continue;
      if (points_[i].is_good()) {
        good.insert(number);
        if (good.size() <= count) keep_by_rule(i, fmt::format("{} {}", name, count));
      } else if (bad.insert(number).second && good.size() < count && bad.size() <= count) {
        keep_by_rule(i, fmt::format("{} {}, separate from the good points", name, count));
      }
    }
  }

  std::vector<Candidate> points_;
  const policy::TimeZone& zone_;
  std::vector<Decision> decisions_;
};

}  // namespace

std::vector<Decision> plan(std::vector<Candidate> points, const policy::Retention& retention,
                           const policy::TimeZone& zone) {
  Planner planner(std::move(points), zone);
  planner.apply(retention);
  planner.protect();
  return planner.finish();
}

size_t count_going(const std::vector<Decision>& decisions) {
  return static_cast<size_t>(std::count_if(decisions.begin(), decisions.end(),
                                           [](const Decision& each) { return !each.stays; }));
}

size_t most_of_run(size_t point_count) { return std::max(kFewPoints, point_count / kShareOfRun); }

Grace look_at_rule(const Grace& before, const std::string& rule, size_t point_count, size_t going,
                   uint64_t now_ms) {
  const Grace in_force{rule, "", 0};
  if (before.applied == rule || going * 3 <= point_count) return in_force;
  if (before.wanted != rule || now_ms < before.wanted_since_ms)
    return {before.applied, rule, now_ms};
  return now_ms - before.wanted_since_ms >= kGraceMs ? in_force : before;
}

}  // namespace appliance::retention
