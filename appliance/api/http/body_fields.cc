#include "appliance/api/http/body_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"

namespace appliance::api {
namespace {

[[noreturn]] void refuse(const std::string& problem) {
  throw base::Error(base::ErrorCode::invalid_argument, problem);
}

std::string checked_text(const nlohmann::json& value, const char* name) {
  if (!value.is_string()) refuse(fmt::format("'{}' must be a text", name));
  std::string text = value.get<std::string>();
  if (text.size() > BodyFields::kMaxText) refuse(fmt::format("'{}' is too long", name));
  return text;
}

}  // namespace

BodyFields::BodyFields(std::string_view body) : fields_(std::make_unique<nlohmann::json>()) {
  if (body.empty()) {
    *fields_ = nlohmann::json::object();
    return;
  }
  *fields_ = base::parse_json(body, "the body");
  if (!fields_->is_object()) refuse("the body must be a JSON object");
}

BodyFields::~BodyFields() = default;

const nlohmann::json* BodyFields::find(const char* name) {
  known_.emplace_back(name);
  auto found = fields_->find(name);
  return found == fields_->end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> BodyFields::text(const char* name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  return checked_text(*value, name);
}

std::string BodyFields::required_text(const char* name) {
  auto value = text(name);
  if (!value || value->empty()) refuse(fmt::format("'{}' is missing", name));
  return *value;
}

std::optional<uint64_t> BodyFields::natural(const char* name, uint64_t min, uint64_t max) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  bool good =
      value->is_number_unsigned() && value->get<uint64_t>() >= min && value->get<uint64_t>() <= max;
  if (!good) refuse(fmt::format("'{}' must be a whole number from {} to {}", name, min, max));
  return value->get<uint64_t>();
}

bool BodyFields::flag(const char* name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse(fmt::format("'{}' must be true or false", name));
  return value->get<bool>();
}

std::optional<bool> BodyFields::optional_flag(const char* name) {
  if (find(name) == nullptr) return std::nullopt;
  return flag(name);
}

bool BodyFields::required_flag(const char* name) {
  if (find(name) == nullptr) refuse(fmt::format("'{}' is missing: true or false", name));
  return flag(name);
}

std::vector<std::string> BodyFields::texts(const char* name, size_t max_count) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_array() || value->size() > max_count) {
    refuse(fmt::format("'{}' must be a list of at most {} strings", name, max_count));
  }
  std::vector<std::string> texts;
  for (const nlohmann::json& entry : *value) texts.push_back(checked_text(entry, name));
  return texts;
}

std::vector<std::vector<std::string>> BodyFields::text_lists(const char* name, size_t max_count) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::vector<std::string>> lists;
  size_t count = 0;
  bool good = value->is_array() && value->size() <= max_count;
  for (size_t i = 0; good && i < value->size(); ++i) {
    const nlohmann::json& list = (*value)[i];
    good = list.is_array() && (count += list.size()) <= max_count;
    if (!good) break;
    lists.emplace_back();
    for (const nlohmann::json& entry : list) lists.back().push_back(checked_text(entry, name));
  }
  if (!good)
    refuse(
        fmt::format("'{}' must be a list of lists of at most {} strings in all", name, max_count));
  return lists;
}

std::vector<BodyFields::TextObject> BodyFields::text_objects(const char* name,
                                                             const std::vector<std::string>& fields,
                                                             size_t max_count) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return {};
  bool good = value->is_array() && value->size() <= max_count;
  std::vector<TextObject> objects;
  for (size_t i = 0; good && i < value->size(); ++i) {
    const nlohmann::json& entry = (*value)[i];
    good = entry.is_object() && entry.size() == fields.size();
    TextObject& object = objects.emplace_back();
    for (const std::string& field : fields) {
      if (!good) break;
      auto found = entry.find(field);
      good = found != entry.end();
      if (good) object[field] = checked_text(*found, name);
    }
  }
  if (!good) {
    refuse(fmt::format("'{}' must be a list of at most {} objects with the fields {}", name,
                       max_count, fmt::join(fields, ", ")));
  }
  return objects;
}

void BodyFields::require_no_more() const {
  for (const auto& [name, value] : fields_->items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      refuse(fmt::format("the body has an unknown field '{}'", name.substr(0, 80)));
    }
  }
}

}  // namespace appliance::api
