// One notification: what a person, or the program behind a channel, is told about one alert. Values.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/catalog/records.h"

namespace appliance::notices {

// The words for Notice::state.
inline constexpr const char* kOpened = "opened";
inline constexpr const char* kClosed = "closed";
inline constexpr const char* kEscalated = "escalated";  // nobody acknowledged it for some time
inline constexpr const char* kReminded = "reminded";    // its silence is over, and it is still open
inline constexpr const char* kTest = "test";

struct Notice {
  // The same at each attempt, after a restart, and in each channel: whoever gets it twice can tell.
  std::string id;
  std::string state;
  catalog::Alert alert;
  uint32_t attempt = 1;

  uint64_t time_ms() const { return alert.closed_ms.value_or(alert.opened_ms); }
};

// "NODE-17-opened". `node`: which appliance it is.
std::string notice_id(const std::string& node, int64_t alert, const std::string& state);

// For the catalog. from_body() throws corrupt.
std::string notice_body(const Notice& notice);
Notice notice_from_body(const std::string& body);

// ---- as text

std::string severity_of(const Notice& notice);  // "critical"
std::string advice_of(const Notice& notice);
// "[Muletto] critical: machine-overdue: web (bakery)", of at most 200 bytes, one line.
std::string title_of(const Notice& notice);
// Some lines for a mail: what, whose, since when, what it means, what to do.
std::string letter_of(const Notice& notice);
// One line for a text message: at most 300 bytes.
std::string line_of(const Notice& notice);

// What a webhook gets: kind, state, severity, tenant, subject, message, advice, time, and of the
// notice itself notice and attempt. As JSON text.
std::string json_of(const Notice& notice);

// A template with {kind}, {state}, {severity}, {tenant}, {subject}, {message}, {advice}, {time},
// {notice}, {title} and {line} replaced. `escape` is applied to each value.
enum class Escape { none, json, form };
std::string fill_template(const std::string& text, const Notice& notice, Escape escape);
// Throws invalid_argument for a placeholder that does not exist.
void check_template(const std::string& text);

}  // namespace appliance::notices
