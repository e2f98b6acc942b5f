// Reads JSON from outside without surprises: nothing is parsed that is too deep, too large or has
// too many values, and a field of the wrong type leads to a sentence or an absence, never to an
// exception of the JSON library. All functions are pure and thread-safe.
//
// Code that reads what an agent, guest, operator or file says uses these functions. It never calls
// json::parse, at(), value(), get<>() or a strict dump() on it: a reply such as {"name": 5} where
// text belongs must not end a thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace base {

struct JsonLimits {
  size_t depth = 32;             // arrays and objects nested inside each other
  size_t size = 4 << 20;         // bytes of text
  size_t value_count = 500'000;  // of all kinds, field names included
};

// For what this program, or another copy of the same version, has written.
constexpr JsonLimits kOwnJsonLimits{.depth = 64, .size = 256u << 20, .value_count = 20'000'000};

// `what` names the text in the message: "the body", "the agent's message". Throws invalid_argument
// for text that is not JSON or exceeds a limit. The limits are checked before anything is built, in
// one pass that needs no stack.
nlohmann::json parse_json(std::string_view text, std::string_view what,
                          const JsonLimits& limits = {});

// The same, but returns nothing instead of throwing.
std::optional<nlohmann::json> find_json(std::string_view text, const JsonLimits& limits = {});

// The value as text that is always UTF-8: invalid bytes in its strings become U+FFFD. Never throws.
// `indent` below 0: one line. Recurses with the depth of `value`, which parse_json() has bounded.
std::string dump_text(const nlohmann::json& value, int indent = -1);

// A field of an object, or none: `object` may be any value, and null counts as absent. The pointer
// is valid as long as `object`.
const nlohmann::json* find_field(const nlohmann::json& object, const char* name);

// The field's value, or none if it is absent or of another type or out of range. `text` is not
// checked for UTF-8: the parser has done that.
std::optional<std::string> find_text(const nlohmann::json& object, const char* name);
std::optional<uint64_t> find_natural(const nlohmann::json& object, const char* name);
std::optional<int64_t> find_integer(const nlohmann::json& object, const char* name);
std::optional<bool> find_flag(const nlohmann::json& object, const char* name);
// An array; an empty one if it is absent or of another type. Valid as long as `object`.
const nlohmann::json& find_list(const nlohmann::json& object, const char* name);

// The same, but an absent field or another type throws invalid_argument with the field's name, and
// so does a text of more than `max_size` bytes or a list of more than `max_count` entries.
std::string expect_text(const nlohmann::json& object, const char* name, size_t max_size);
uint64_t expect_natural(const nlohmann::json& object, const char* name);
bool expect_flag(const nlohmann::json& object, const char* name);
const nlohmann::json& expect_list(const nlohmann::json& object, const char* name, size_t max_count);

}  // namespace base
