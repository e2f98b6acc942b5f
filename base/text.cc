#include "base/text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace base {
namespace {

[[noreturn]] void bad(std::string_view what, std::string_view text, std::string_view example) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("'{}' is not a {}; write it like {}", text.substr(0, 80), what, example));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads a decimal number with an optional fraction and removes it from `text`; false if there is
// none.
bool take_number(std::string_view& text, double& value) {
  size_t length = 0;
  while (length < text.size() && (is_digit(text[length]) || text[length] == '.')) ++length;
  if (length == 0) return false;
  auto result = std::from_chars(text.data(), text.data() + length, value);
  if (result.ec != std::errc() || result.ptr != text.data() + length) return false;
  text.remove_prefix(length);
  return true;
}

// Parses a fixed number of digits at `position`, which is advanced.
int take_digits(std::string_view text, size_t& position, size_t count) {
  int value = 0;
  if (position + count > text.size()) bad("time", text, "2026-11-22T08:00");
  for (size_t i = 0; i < count; ++i, ++position) {
    if (!is_digit(text[position])) bad("time", text, "2026-11-22T08:00");
    value = value * 10 + (text[position] - '0');
  }
  return value;
}

bool take_char(std::string_view text, size_t& position, char wanted) {
  if (position >= text.size() || text[position] != wanted) return false;
  ++position;
  return true;
}

// Minutes east of UTC at the end of a time.
int take_zone_minutes(std::string_view text, size_t& position) {
  if (take_char(text, position, 'Z')) return 0;
  int sign = take_char(text, position, '+') ? 1 : take_char(text, position, '-') ? -1 : 0;
  if (sign == 0) return 0;
  int hours = take_digits(text, position, 2);
  take_char(text, position, ':');
  int minutes = take_digits(text, position, 2);
  return sign * (hours * 60 + minutes);
}

}  // namespace

uint64_t parse_size(std::string_view text) {
  constexpr std::string_view kExample = "512, 64K, 10MiB or 1.5T";
  std::string_view rest = text;
  double value = 0;
  if (!take_number(rest, value)) bad("size", text, kExample);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  int power = 0;
  if (!rest.empty() && rest != "B") {
    constexpr std::string_view kUnits = "KMGTP";
    size_t unit = kUnits.find(rest.front() == 'k' ? 'K' : rest.front());
    rest.remove_prefix(1);
    if (unit == std::string_view::npos || !(rest.empty() || rest == "B" || rest == "iB")) {
      bad("size", text, kExample);
    }
    power = static_cast<int>(unit) + 1;
  }
  double size = std::ldexp(value, 10 * power);
  if (!(size < std::ldexp(1.0, 63))) bad("size", text, kExample);
  return static_cast<uint64_t>(size);
}

std::string format_size(uint64_t size) {
  static constexpr std::array<const char*, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (size < 1024) return fmt::format("{} B", size);
  double value = static_cast<double>(size);
  size_t unit = 0;
  for (value /= 1024; value >= 1023.95 && unit + 1 < kUnits.size(); value /= 1024) ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_count(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

uint64_t parse_duration_ms(std::string_view text) {
  constexpr std::string_view kExample = "500ms, 90s, 15m, 2h, 7d or 1h30m";
  struct Unit {
    std::string_view name;
    double milliseconds;
  };
  static constexpr std::array<Unit, 6> kUnits{
      {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}, {"w", 6.048e8}}};
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) bad("duration", text, kExample);
  while (!rest.empty()) {
    double value = 0;
    if (!take_number(rest, value)) bad("duration", text, kExample);
    bool found = false;
    for (const Unit& unit : kUnits) {
      if (!rest.starts_with(unit.name)) continue;
      total += value * unit.milliseconds;
      rest.remove_prefix(unit.name.size());
      found = true;
      break;
    }
    if (!found) bad("duration", text, kExample);
  }
  if (!(total < 1e16)) bad("duration", text, kExample);
  return static_cast<uint64_t>(total);
}

std::string format_duration_ms(uint64_t duration_ms) {
  uint64_t seconds = duration_ms / 1000;
  if (duration_ms < 10'000) return fmt::format("{:.2f} s", static_cast<double>(duration_ms) / 1000);
  if (seconds < 60) return fmt::format("{:.1f} s", static_cast<double>(duration_ms) / 1000);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::string format_time_ms(uint64_t time_ms) {
  using namespace std::chrono;
  sys_time<milliseconds> time{milliseconds(time_ms)};
  auto day = floor<days>(time);
  year_month_day date{day};
  hh_mm_ss clock{floor<seconds>(time - day)};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int(date.year()),
                     unsigned(date.month()), unsigned(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

uint64_t parse_time_ms(std::string_view text) {
  using namespace std::chrono;
  size_t position = 0;
  int year = take_digits(text, position, 4);
  bool dashes = take_char(text, position, '-');
  int month = take_digits(text, position, 2);
  dashes = take_char(text, position, '-') && dashes;
  int day = take_digits(text, position, 2);
  int hour = 0, minute = 0, second = 0, zone_minutes = 0;
  if (take_char(text, position, 'T') || take_char(text, position, ' ')) {
    hour = take_digits(text, position, 2);
    if (!take_char(text, position, ':')) bad("time", text, "2026-11-22T08:00");
    minute = take_digits(text, position, 2);
    if (take_char(text, position, ':')) second = take_digits(text, position, 2);
    zone_minutes = take_zone_minutes(text, position);
  }
  year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                      std::chrono::day(static_cast<unsigned>(day))};
  bool good = dashes && position == text.size() && date.ok() && year >= 1970 && hour < 24 &&
              minute < 60 && second < 61;
  if (!good) bad("time", text, "2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:30+01:00");
  auto time = sys_days(date) + hours(hour) + minutes(minute - zone_minutes) + seconds(second);
  auto count = duration_cast<milliseconds>(time.time_since_epoch()).count();
  return count < 0 ? 0 : static_cast<uint64_t>(count);
}

uint64_t now_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<uint8_t>(text[i]);
    size_t length = lead < 0x80       ? 1
                    : lead >> 5 == 6  ? 2
                    : lead >> 4 == 14 ? 3
                    : lead >> 3 == 30 ? 4
                                      : 0;
    if (length == 0 || i + length > text.size()) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
    for (size_t j = 1; j < length; ++j) {
      auto next = static_cast<uint8_t>(text[i + j]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3F);
    }
    static constexpr std::array<uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    i += length;
  }
  return true;
}

void check_name(std::string_view name, std::string_view what) {
  auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::invalid_argument, fmt::format("the {} {}", what, why));
  };
  if (name.empty()) refuse("is empty");
  if (name.size() > 255) refuse(fmt::format("has {} bytes; at most 255 are allowed", name.size()));
  if (!is_valid_utf8(name)) refuse("is not valid UTF-8");
  for (char c : name) {
    auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7F) refuse("holds a control character");
  }
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i != text.size() && text[i] != separator) continue;
    parts.emplace_back(text.substr(start, i - start));
    start = i + 1;
  }
  return parts;
}

std::string trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

std::string encode_percent(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace base
