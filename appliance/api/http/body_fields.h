// The fields of a request's JSON body, each checked as it is read. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::api {

// Every function throws invalid_argument with the field's name if the field has the wrong type or
// range.
class BodyFields {
 public:
  // An empty body is an object without fields. Throws invalid_argument unless it is a JSON object.
  explicit BodyFields(std::string_view body);
  ~BodyFields();

  std::optional<std::string> text(const char* name);  // at most kMaxText bytes
  std::string required_text(const char* name);
  std::optional<uint64_t> natural(const char* name, uint64_t min, uint64_t max);
  bool flag(const char* name);           // false if it is missing
  bool required_flag(const char* name);  // throws if it is missing
  std::optional<bool> optional_flag(const char* name);
  std::vector<std::string> texts(const char* name, size_t max_count);
  // A list of lists; at most `max_count` texts in all.
  std::vector<std::vector<std::string>> text_lists(const char* name, size_t max_count);

  // A list of objects, each with exactly the fields named here, which are texts.
  using TextObject = std::map<std::string, std::string>;
  std::vector<TextObject> text_objects(const char* name, const std::vector<std::string>& fields,
                                       size_t max_count);

  // Refuses unknown fields: a misspelt option must not be silently ignored. Call it last.
  void require_no_more() const;

  static constexpr size_t kMaxText = 64 * 1024;

 private:
  const nlohmann::json* find(const char* name);
  std::unique_ptr<nlohmann::json> fields_;
  std::vector<std::string> known_;
};

}  // namespace appliance::api
