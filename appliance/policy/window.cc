#include "appliance/policy/window.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int kMinutesOfDay = 24 * 60;

[[noreturn]] void refuse(const std::string& problem) {
  throw base::Error(base::ErrorCode::invalid_argument, problem);
}

int64_t floor_div(int64_t value, int64_t by) {
  return value >= 0 ? value / by : -((-value + by - 1) / by);
}

int parse_day(std::string_view text) {
  std::string low(text);
  std::transform(low.begin(), low.end(), low.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auto found = std::find(kDays.begin(), kDays.end(), low);
  if (found == kDays.end()) {
    refuse(fmt::format("'{}' is not a day; write mon, tue, wed, thu, fri, sat or sun",
                       text.substr(0, 40)));
  }
  return static_cast<int>(found - kDays.begin());
}

int parse_number(std::string_view text, int max) {
  int value = -1;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < 0 ||
      value > max) {
    refuse(fmt::format("'{}' is not a time of day; write it like 7 or 19:30", text.substr(0, 40)));
  }
  return value;
}

}  // namespace

// 1970-01-01 was a Thursday.
int weekday_of(int64_t local_ms) {
  int64_t day = floor_div(local_ms, kDayMs) + 3;
  return static_cast<int>(((day % 7) + 7) % 7);
}

int minute_of_day(int64_t local_ms) {
  return static_cast<int>((local_ms - floor_div(local_ms, kDayMs) * kDayMs) / kMinuteMs);
}

bool Window::contains(int64_t local_ms) const {
  int minute = minute_of_day(local_ms);
  int day = weekday_of(local_ms);
  auto has = [this](int which) { return (days >> which & 1) != 0; };
  if (from_minute < to_minute) return has(day) && minute >= from_minute && minute < to_minute;
  return (has(day) && minute >= from_minute) || (has((day + 6) % 7) && minute < to_minute);
}

bool looks_like_days(std::string_view text) {
  return !text.empty() && std::isalpha(static_cast<unsigned char>(text.front())) != 0;
}

uint8_t parse_days(std::string_view text) {
  unsigned days = 0;
  for (const std::string& part : base::split(text, ',')) {
    size_t dash = part.find('-');
    int first = parse_day(part.substr(0, dash));
    int last = dash == std::string::npos ? first : parse_day(part.substr(dash + 1));
    for (int day = first;; day = (day + 1) % 7) {
      days |= 1u << day;
      if (day == last) break;
    }
  }
  return static_cast<uint8_t>(days);
}

int parse_minute(std::string_view text) {
  size_t colon = text.find(':');
  int minute = parse_number(text.substr(0, colon), 24) * 60;
  if (colon != std::string_view::npos) minute += parse_number(text.substr(colon + 1), 59);
  if (minute > kMinutesOfDay) refuse(fmt::format("'{}' is past the end of a day", text));
  return minute;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::string& word : base::split(text, ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

Window parse_window(const std::vector<std::string>& words) {
  Window window;
  size_t place = 0;
  if (place < words.size() && looks_like_days(words[place])) {
    window.days = parse_days(words[place++]);
  }
  if (place < words.size()) {
    const std::string& span = words[place++];
    size_t dash = span.find('-');
    if (dash == std::string::npos) {
      refuse(fmt::format("'{}' is not a span of hours; write it like 7-19 or 22:30-6",
                         span.substr(0, 40)));
    }
    window.from_minute = parse_minute(std::string_view(span).substr(0, dash));
    window.to_minute = parse_minute(std::string_view(span).substr(dash + 1));
    if (window.from_minute == kMinutesOfDay) window.from_minute = 0;
    if (window.from_minute == window.to_minute) refuse(fmt::format("the span '{}' is empty", span));
  }
  if (place < words.size()) refuse(fmt::format("'{}' is one word too many", words[place]));
  return window;
}

}  // namespace appliance::policy
