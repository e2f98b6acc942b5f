// A calendar rule examines whole local days: most do not match, and of one that does, every minute
// between its two midnights is examined in UTC. Days of 23 and 25 hours need no special case that
// way; only times that clocks skip, which no minute shows, are added.
#include "appliance/policy/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

constexpr int64_t kMinIntervalMs = 1000;
constexpr int64_t kMaxIntervalMs = 31 * kDayMs;
constexpr int kMaxDays = 3660;
constexpr size_t kMaxRules = 16;
constexpr size_t kMaxRuleText = 200;

[[noreturn]] void refuse(const std::string& problem) {
  throw base::Error(base::ErrorCode::invalid_argument, problem);
}

std::vector<std::string> from_second(const std::vector<std::string>& words, size_t first) {
  return {words.begin() + static_cast<std::ptrdiff_t>(std::min(first, words.size())), words.end()};
}

IntervalRule parse_interval(const std::vector<std::string>& words, size_t first, int64_t interval) {
  if (interval < kMinIntervalMs || interval > kMaxIntervalMs) {
    refuse("an interval must be from 1s to 31d");
  }
  return {interval, parse_window(from_second(words, first))};
}

CalendarRule at_minute(const std::string& time, uint8_t weekdays) {
  int minute = parse_minute(time) % (24 * 60);
  CalendarRule rule;
  rule.minutes.set(static_cast<size_t>(minute % 60));
  rule.hours.set(static_cast<size_t>(minute / 60));
  rule.month_days.set();
  rule.months.set();
  rule.weekdays = weekdays;
  return rule;
}

int parse_field_number(std::string_view text, int min, int max) {
  int value = -1;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() ||
      value < min || value > max) {
    refuse(fmt::format("'{}' must be a number from {} to {}", text.substr(0, 40), min, max));
  }
  return value;
}

// "*", "5", "1-5", "*/15", "8-18/2", and comma-separated lists of these.
template <size_t kSize>
std::bitset<kSize> parse_field(const std::string& text, int min, int max) {
  std::bitset<kSize> values;
  for (const std::string& part : base::split(text, ',')) {
    std::string_view range = part;
    int step = 1;
    if (size_t slash = range.find('/'); slash != std::string_view::npos) {
      step = parse_field_number(range.substr(slash + 1), 1, max);
      range = range.substr(0, slash);
    }
    int first = min, last = max;
    if (range != "*") {
      size_t dash = range.find('-');
      first = parse_field_number(range.substr(0, dash), min, max);
      last = dash == std::string_view::npos ? (step > 1 ? max : first)
                                            : parse_field_number(range.substr(dash + 1), min, max);
      if (last < first) refuse(fmt::format("'{}' runs backwards", part));
    }
    for (int value = first; value <= last; value += step) values.set(static_cast<size_t>(value));
  }
  return values;
}

CalendarRule parse_cron(const std::vector<std::string>& words) {
  CalendarRule rule;
  rule.minutes = parse_field<60>(words[0], 0, 59);
  rule.hours = parse_field<24>(words[1], 0, 23);
  rule.any_hour = words[1].starts_with('*');
  rule.month_days = parse_field<32>(words[2], 1, 31);
  rule.months = parse_field<13>(words[3], 1, 12);
  if (looks_like_days(words[4])) {
    rule.weekdays = parse_days(words[4]);
  } else {
    auto days = parse_field<8>(words[4], 0, 7);  // 0 and 7 are Sunday
    unsigned bits = 0;
    for (unsigned day = 0; day < 8; ++day) {
      if (days.test(day)) bits |= 1u << ((day + 6) % 7);
    }
    rule.weekdays = static_cast<uint8_t>(bits);
  }
  rule.either_day = !words[2].starts_with('*') && !words[4].starts_with('*');
  return rule;
}

using Rule = std::variant<IntervalRule, CalendarRule>;

Rule parse_rule(const std::vector<std::string>& words) {
  const std::string& kind = words.front();
  size_t count = words.size();
  if (kind == "every" && count >= 2) {
    return parse_interval(words, 2, static_cast<int64_t>(base::parse_duration_ms(words[1])));
  }
  if (kind == "hourly") return parse_interval(words, 1, kHourMs);
  if (kind == "daily" && (count == 2 || count == 3)) {
    return at_minute(words[1], count == 3 ? parse_days(words[2]) : uint8_t{0x7f});
  }
  if (kind == "weekly" && count == 3) return at_minute(words[2], parse_days(words[1]));
  if (count == 5) return parse_cron(words);
  refuse(
      "write it like 'every 15m', 'hourly mon-fri 7-19', 'daily 22:00', 'weekly sun 03:00', five "
      "fields as in a crontab, or 'off'");
}

std::optional<int64_t> next_of(const IntervalRule& rule, int64_t after, const TimeZone& zone) {
  int64_t interval = rule.interval_ms;
  int64_t candidate = (after / interval + 1) * interval;
  int64_t end = after + 8 * kDayMs + interval * 8;
  while (candidate <= end) {
    if (rule.window.contains(zone.local_of(candidate))) return candidate;
    // Outside the window a short interval advances by minutes: windows begin on whole ones.
    int64_t step = interval;
    if (interval < kMinuteMs) {
      int64_t minute = (candidate / kMinuteMs + 1) * kMinuteMs;
      step = (minute - candidate + interval - 1) / interval * interval;
    }
    candidate += step;
  }
  return std::nullopt;
}

bool matches_day(const CalendarRule& rule, int64_t local_midnight) {
  using namespace std::chrono;
  year_month_day date{sys_days{days{local_midnight / kDayMs}}};
  if (!rule.months.test(unsigned{date.month()})) return false;
  bool month_day = rule.month_days.test(unsigned{date.day()});
  bool weekday = (rule.weekdays >> weekday_of(local_midnight) & 1) != 0;
  return rule.either_day ? month_day || weekday : month_day && weekday;
}

bool matches_time(const CalendarRule& rule, int minute) {
  return rule.hours.test(static_cast<size_t>(minute / 60)) &&
         rule.minutes.test(static_cast<size_t>(minute % 60));
}

// The first instant after `after` on that local day that the rule names.
std::optional<int64_t> next_in_day(const CalendarRule& rule, int64_t local_midnight, int64_t after,
                                   const TimeZone& zone) {
  int64_t begin = zone.utc_of(local_midnight), end = zone.utc_of(local_midnight + kDayMs);
  std::optional<int64_t> next;
  for (int64_t utc = begin; utc < end; utc += kMinuteMs) {
    if (utc <= after) continue;
    int64_t local = zone.local_of(utc);
    if (!matches_time(rule, minute_of_day(local))) continue;
    // The hour's second occurrence.
    if (!rule.any_hour && zone.first_utc_of(local) != utc) continue;
    next = utc;
    break;
  }
  if (end - begin >= kDayMs || rule.any_hour) return next;
  for (int minute = 0; minute < 24 * 60; ++minute) {  // a short day: skipped times
    int64_t local = local_midnight + minute * kMinuteMs;
    if (!matches_time(rule, minute) || zone.first_utc_of(local)) continue;
    int64_t jump = zone.utc_of(local);
    if (jump > after && (!next || jump < *next)) next = jump;
  }
  return next;
}

std::optional<int64_t> next_of(const CalendarRule& rule, int64_t after, const TimeZone& zone) {
  int64_t midnight = zone.local_of(after) / kDayMs * kDayMs;
  for (int day = 0; day < kMaxDays; ++day, midnight += kDayMs) {
    if (!matches_day(rule, midnight)) continue;
    if (auto next = next_in_day(rule, midnight, after, zone)) return next;
  }
  return std::nullopt;
}

}  // namespace

Schedule Schedule::parse(const std::vector<std::string>& rules) {
  if (rules.size() > kMaxRules) refuse(fmt::format("a schedule has at most {} rules", kMaxRules));
  Schedule schedule;
  for (const std::string& text : rules) {
    std::vector<std::string> words = words_of(text.substr(0, kMaxRuleText));
    if (words.empty()) refuse("a rule of the schedule is empty");
    if (words.size() == 1 && words.front() == "off") {
      if (rules.size() > 1) refuse("'off' stands alone");
      continue;
    }
    try {
      schedule.rules_.push_back(parse_rule(words));
    } catch (const base::Error& error) {
      throw error.with_context(fmt::format("the schedule '{}'", text.substr(0, kMaxRuleText)));
    }
  }
  return schedule;
}

std::optional<int64_t> Schedule::next_after(int64_t after_ms, const TimeZone& zone) const {
  std::optional<int64_t> first;
  for (const Rule& rule : rules_) {
    auto next = std::visit([&](const auto& kind) { return next_of(kind, after_ms, zone); }, rule);
    if (next && (!first || *next < *first)) first = next;
  }
  return first;
}

int64_t jitter_of(const std::string& machine_name, int64_t jitter_ms) {
  if (jitter_ms <= 0) return 0;
  base::Sha256 hash = base::sha256(base::as_bytes(machine_name));
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | hash[i];
  return static_cast<int64_t>(number % static_cast<uint64_t>(jitter_ms));
}

}  // namespace appliance::policy
