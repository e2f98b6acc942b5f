// A time zone by its IANA name ("Europe/Rome"), with its summer time rules from ICU's tables.
// Immutable; thread-safe. Times are milliseconds since 1970: in UTC, or "local", that is the wall
// clock's reading counted as if it were UTC.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace appliance::policy {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;

class TimeZone {
 public:
  // Throws invalid_argument for an unknown name.
  explicit TimeZone(const std::string& name);

  const std::string& name() const { return name_; }
  int64_t local_of(int64_t utc_ms) const;
  // The first instant at which clocks show `local_ms`; none if clocks skip it.
  std::optional<int64_t> first_utc_of(int64_t local_ms) const;
  // As first_utc_of(), but a time that clocks skip is the instant of the change.
  int64_t utc_of(int64_t local_ms) const;

 private:
  int64_t offset_ms(int64_t utc_ms) const;

  struct Rules;
  std::string name_;
  std::shared_ptr<const Rules> rules_;
};

}  // namespace appliance::policy
