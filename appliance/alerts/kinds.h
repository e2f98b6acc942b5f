// The one table of alert kinds, used by the code that opens alerts, the API, the command line and
// docs/schedules.md. Values; thread-safe.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

namespace appliance::alerts {

enum class Severity {
  critical,  // machines are unprotected, cannot be recovered, or their state is unknown: act now
  warning,   // becomes critical if nobody acts
};

struct AlertKind {
  std::string_view name;  // "machine-overdue"
  Severity severity;
  std::string_view meaning;  // "a newer point should exist"
  std::string_view advice;   // what to do about it; a sentence
};

std::string_view severity_name(Severity severity);

// In the order of docs/schedules.md.
std::span<const AlertKind> alert_kinds();

// An alert kind of an older version that this one does not know counts as critical, with general
// advice.
const AlertKind& kind_of(std::string_view name);

}  // namespace appliance::alerts
