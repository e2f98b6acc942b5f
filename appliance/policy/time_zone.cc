#include "appliance/policy/time_zone.h"

#include <fmt/format.h>
#include <unicode/timezone.h>

#include <algorithm>

#include "base/error.h"

namespace appliance::policy {

struct TimeZone::Rules {
  std::unique_ptr<icu::TimeZone> zone;
};

TimeZone::TimeZone(const std::string& name) : name_(name) {
  auto rules = std::make_shared<Rules>();
  rules->zone.reset(icu::TimeZone::createTimeZone(icu::UnicodeString::fromUTF8(name)));
  if (!rules->zone || *rules->zone == icu::TimeZone::getUnknown()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("there is no time zone '{}'; write it like Europe/Rome or UTC",
                                  name.substr(0, 80)));
  }
  rules_ = std::move(rules);
}

int64_t TimeZone::offset_ms(int64_t utc_ms) const {
  int32_t standard = 0, summer = 0;
  UErrorCode status = U_ZERO_ERROR;
  rules_->zone->getOffset(static_cast<UDate>(utc_ms), 0, standard, summer, status);
  return U_SUCCESS(status) ? int64_t{standard} + summer : 0;
}

int64_t TimeZone::local_of(int64_t utc_ms) const { return utc_ms + offset_ms(utc_ms); }

// Offsets change only by hours, and months apart: the offsets of a day before and a day after are
// the two candidates.
std::optional<int64_t> TimeZone::first_utc_of(int64_t local_ms) const {
  int64_t before = local_ms - offset_ms(local_ms - kDayMs);
  int64_t after = local_ms - offset_ms(local_ms + kDayMs);
  for (int64_t candidate : {std::min(before, after), std::max(before, after)}) {
    if (local_of(candidate) == local_ms) return candidate;
  }
  return std::nullopt;
}

int64_t TimeZone::utc_of(int64_t local_ms) const {
  if (auto exact = first_utc_of(local_ms)) return *exact;
  int64_t low = local_ms - kDayMs * 2, high = local_ms + kDayMs * 2;
  while (low + 1 < high) {  // the first instant at which clocks show more than local_ms
    int64_t middle = low + (high - low) / 2;
    (local_of(middle) > local_ms ? high : low) = middle;
  }
  return high;
}

}  // namespace appliance::policy
