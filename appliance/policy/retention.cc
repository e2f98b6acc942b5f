#include "appliance/policy/retention.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

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
    refuse(fmt::format("'{}' is not a number of points to keep; choose 0 to {}", text.substr(0, 40),
                       kMaxCount));
  }
  return value;
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
          fmt::format("'{}' does not say what to keep; write it like 'last 24, daily 7, weekly 4', "
                      "or 'all'",
                      base::trim(part).substr(0, 80)));
    }
    retention.*(kind->second) = parse_count(words[1]);
  }
  if (retention.keeps_all()) refuse("keep at least one point, or 'all'");
  return retention;
}

}  // namespace appliance::policy
