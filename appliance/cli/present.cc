#include "appliance/cli/present.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

constexpr size_t kShortId = 12;  // digits

const nlohmann::json* find(const nlohmann::json& object, const char* field) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

std::string text_of(const nlohmann::json& object, const char* field) {
  const nlohmann::json* value = find(object, field);
  if (value == nullptr) return "-";
  if (value->is_boolean()) return value->get<bool>() ? "yes" : "no";
  if (!value->is_string()) return value->dump();
  std::string text = value->get<std::string>();
  return text.empty() ? "-" : text;
}

std::string size_of(const nlohmann::json& object, const char* field) {
  const nlohmann::json* value = find(object, field);
  return value != nullptr && value->is_number_unsigned() ? base::format_size(value->get<uint64_t>())
                                                         : "-";
}

std::string duration_of(const nlohmann::json& object, const char* field) {
  const nlohmann::json* value = find(object, field);
  return value != nullptr && value->is_number_unsigned()
             ? base::format_duration_ms(value->get<uint64_t>())
             : "-";
}

std::string recovery_of(const nlohmann::json& recovery) {
  std::string text = fmt::format("{} last, {} median of {}", duration_of(recovery, "last_ms"),
                                 duration_of(recovery, "median_ms"), text_of(recovery, "count"));
  std::string trend = text_of(recovery, "trend");
  if (trend == "steady") return text + " (steady)";
  if (trend != "slower" && trend != "faster") return text;
  return fmt::format("{} ({} by {} % than before)", text, trend,
                     std::abs(recovery.value("change_percent", int64_t{0})));
}

std::string verdict_of(const nlohmann::json& verification) {
  const nlohmann::json correction = verification.value("correction", nlohmann::json());
  return text_of(verification, "verdict") + (correction.is_null() ? "" : " (corrected)");
}

std::string reasons_of(const nlohmann::json& point) {
  std::string text;
  if (!point.contains("reasons") || !point["reasons"].is_array()) return "-";
  for (const nlohmann::json& reason : point["reasons"]) {
    if (!reason.is_string()) continue;
    text += (text.empty() ? "" : ", ") + reason.get<std::string>();
  }
  return printable(text);
}

std::string short_id(const nlohmann::json& object, const char* field) {
  return text_of(object, field).substr(0, kShortId);
}

std::string_view when_empty(const nlohmann::json& answer, std::string_view sentence) {
  bool all_asked = !answer.contains("problems") || answer["problems"].empty();
  return all_asked ? sentence : "Nothing is listed, but not everything is known:";
}

void print_problems(const nlohmann::json& answer, std::string_view what) {
  if (!answer.contains("problems")) return;
  for (const nlohmann::json& problem : answer["problems"])
    fmt::print("{}: {}\n", what, printable(problem.get<std::string>()));
}

void print_json(const nlohmann::json& value) { fmt::print("{}\n", base::dump_text(value, 2)); }

bool print_if_json(const base::Arguments& arguments, const nlohmann::json& answer) {
  if (arguments.json()) print_json(answer);
  return arguments.json();
}

std::optional<uint64_t> number_option(const base::Arguments& arguments, const char* name,
                                      uint64_t min, uint64_t max) {
  if (!arguments.has(name)) return std::nullopt;
  std::string text = arguments.get(name);
  uint64_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < min ||
      value > max) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("--{} must be a whole number from {} to {}, not '{}'", name, min, max, text));
  }
  return value;
}

std::optional<uint64_t> size_option(const base::Arguments& arguments, const char* name) {
  if (!arguments.has(name)) return std::nullopt;
  try {
    return base::parse_size(arguments.get(name));
  } catch (const base::Error& error) {
    throw error.with_context(fmt::format("--{}", name));
  }
}

}  // namespace appliance::cli
