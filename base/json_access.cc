#include "base/json_access.h"

#include <fmt/format.h>

#include "base/error.h"

namespace base {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorCode::invalid_argument, problem);
}

// The limit that the text exceeds, or nothing. Counts brackets and separators outside of strings.
// For text that is not JSON the result is arbitrary, as the parser refuses such text afterwards.
std::optional<std::string> excess_of(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.size) return fmt::format("is larger than {} bytes", limits.size);
  size_t depth = 0, value_count = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
      continue;
    }
    switch (c) {
      case '"': in_string = true; break;
      case '[':
      case '{':
        ++value_count;
        if (++depth > limits.depth)
          return fmt::format("is nested more than {} levels deep", limits.depth);
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case ',':
      case ':': ++value_count; break;
      default: break;
    }
  }
  if (value_count > limits.value_count)
    return fmt::format("has more than {} values", limits.value_count);
  return std::nullopt;
}

}  // namespace

json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (auto excess = excess_of(text, limits)) refuse(fmt::format("{} {}", what, *excess));
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) refuse(fmt::format("{} is not JSON", what));
  return value;
}

std::optional<json> find_json(std::string_view text, const JsonLimits& limits) {
  if (excess_of(text, limits)) return std::nullopt;
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::string dump_text(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

const json* find_field(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> find_text(const json& object, const char* name) {
  const json* field = find_field(object, name);
  if (field == nullptr || !field->is_string()) return std::nullopt;
  return field->get_ref<const std::string&>();
}

std::optional<uint64_t> find_natural(const json& object, const char* name) {
  const json* field = find_field(object, name);
  if (field == nullptr || !field->is_number_integer()) return std::nullopt;
  if (!field->is_number_unsigned() && field->get<int64_t>() < 0) return std::nullopt;
  return field->get<uint64_t>();
}

std::optional<int64_t> find_integer(const json& object, const char* name) {
  const json* field = find_field(object, name);
  if (field == nullptr || !field->is_number_integer()) return std::nullopt;
  if (field->is_number_unsigned() && field->get<uint64_t>() > INT64_MAX) return std::nullopt;
  return field->get<int64_t>();
}

std::optional<bool> find_flag(const json& object, const char* name) {
  const json* field = find_field(object, name);
  if (field == nullptr || !field->is_boolean()) return std::nullopt;
  return field->get<bool>();
}

const json& find_list(const json& object, const char* name) {
  static const json kEmpty = json::array();
  const json* field = find_field(object, name);
  return field != nullptr && field->is_array() ? *field : kEmpty;
}

std::string expect_text(const json& object, const char* name, size_t max_size) {
  auto text = find_text(object, name);
  if (!text) refuse(fmt::format("'{}' is missing, or not a string", name));
  if (text->size() > max_size) refuse(fmt::format("'{}' is longer than {} bytes", name, max_size));
  return std::move(*text);
}

uint64_t expect_natural(const json& object, const char* name) {
  auto number = find_natural(object, name);
  if (!number) refuse(fmt::format("'{}' is missing, or not a whole number from 0", name));
  return *number;
}

bool expect_flag(const json& object, const char* name) {
  auto flag = find_flag(object, name);
  if (!flag) refuse(fmt::format("'{}' is missing, or neither true nor false", name));
  return *flag;
}

const json& expect_list(const json& object, const char* name, size_t max_count) {
  const json* field = find_field(object, name);
  if (field == nullptr || !field->is_array())
    refuse(fmt::format("'{}' is missing, or not a list", name));
  if (field->size() > max_count)
    refuse(fmt::format("'{}' has more than {} entries", name, max_count));
  return *field;
}

}  // namespace base
