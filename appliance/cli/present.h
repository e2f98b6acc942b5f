// JSON of the API as text for people, and JSON for scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/program.h"

namespace appliance::cli {

// The field as text for people: "-" for null and missing values, numbers in digits, "yes" and "no".
std::string text_of(const nlohmann::json& object, const char* field);
std::string size_of(const nlohmann::json& object, const char* field);      // "1.5 GiB"
std::string duration_of(const nlohmann::json& object, const char* field);  // from milliseconds
// "38 s last, 40 s median of 12 (slower by 35 %)", from the API's `recovery`.
std::string recovery_of(const nlohmann::json& recovery);
// Of a test boot: "pass", or "pass (corrected)".
std::string verdict_of(const nlohmann::json& verification);
// "last 24, daily 14": what keeps a point, or why it is removed, from the API's `reasons`.
std::string reasons_of(const nlohmann::json& point);
// An id shortened for a table but long enough to be typed.
std::string short_id(const nlohmann::json& object, const char* field);

// What to print for an empty list: `sentence`, unless the appliance could not query everything (the
// answer's "problems").
std::string_view when_empty(const nlohmann::json& answer, std::string_view sentence);
// Each of the answer's "problems" on its own line, after `what`.
void print_problems(const nlohmann::json& answer, std::string_view what = "could not be asked");

// Indented, followed by a newline.
void print_json(const nlohmann::json& value);
// The end of most commands: prints the answer where --output json asks for it; else returns false,
// and the caller prints it for people.
bool print_if_json(const base::Arguments& arguments, const nlohmann::json& answer);

// A whole number from an option's text; throws invalid_argument with the option's name.
std::optional<uint64_t> number_option(const base::Arguments& arguments, const char* name,
                                      uint64_t min, uint64_t max);
// A size such as "512M" or "2GiB", in bytes.
std::optional<uint64_t> size_option(const base::Arguments& arguments, const char* name);

}  // namespace appliance::cli
