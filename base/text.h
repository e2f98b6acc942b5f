// Text as people read and write it: sizes, durations, times. All functions are pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace base {

// "512", "64K", "10MiB", "1.5T": powers of 1024, bytes out. Throws invalid_argument.
uint64_t parse_size(std::string_view text);
// "1.5 GiB", "64.0 KiB", "17 B".
std::string format_size(uint64_t size);

// "1 point", "2 points": `noun` in the singular, its plural with an s.
std::string format_count(uint64_t count, std::string_view noun);

// "500ms", "90s", "15m", "2h", "7d", "1h30m": milliseconds out. Throws invalid_argument.
uint64_t parse_duration_ms(std::string_view text);
// "0.42 s", "12 s", "3 min 20 s", "2 h 5 min", "4 d 3 h".
std::string format_duration_ms(uint64_t duration_ms);

// "2026-11-22T08:00:00Z". `time_ms` is milliseconds since 1970 in UTC.
std::string format_time_ms(uint64_t time_ms);
// "2026-11-22", "2026-11-22T08:00", "2026-11-22T08:00:30Z", "…+01:00"; without a zone it is UTC.
// Throws invalid_argument.
uint64_t parse_time_ms(std::string_view text);
// The clock's time now, milliseconds since 1970 in UTC.
uint64_t now_ms();

// Valid UTF-8 without control characters, 1 to 255 bytes: the requirements for the name of a
// machine, tenant, host or disk. Throws invalid_argument; the message calls it `what`.
void check_name(std::string_view name, std::string_view what);
bool is_valid_utf8(std::string_view text);

std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// Percent-encodes one segment of a path or one value of a query (RFC 3986).
std::string encode_percent(std::string_view text);

}  // namespace base
