#include "images/point_marks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "images/point.h"

namespace images {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kVerdicts{"pass", "fail", "inconclusive"};
constexpr size_t kMaxNodeText = 32;

json optional_json(const std::optional<uint64_t>& value) {
  return value ? json(*value) : json(nullptr);
}

// What is cleaned can need two bytes in JSON for each of its own.
std::string mark_text(const std::string& text) { return base::clean_text(text, kMaxMarkText); }

std::string read_text(const json& object, const char* name, size_t limit) {
  return base::clean_text(base::find_text(object, name).value_or(""), limit);
}

uint64_t expect_time(const json& object, const char* name) {
  return std::min(base::expect_natural(object, name), kLatestTime_ms);
}

BootMark read_boot(const json& object) {
  BootMark mark;
  mark.verdict = base::expect_text(object, "verdict", kMaxNodeText);
  if (std::find(kVerdicts.begin(), kVerdicts.end(), mark.verdict) == kVerdicts.end())
    throw base::Error(base::ErrorCode::invalid_argument, "the verdict is none");
  mark.reason = read_text(object, "reason", kMaxMarkText);
  mark.tested_ms = expect_time(object, "tested_ms");
  mark.recovery_ms = base::find_natural(object, "recovery_ms");
  mark.appliance = read_text(object, "appliance", kMaxNodeText);
  mark.appliance_name = read_text(object, "appliance_name", kMaxMarkText);
  return mark;
}

HoldMark read_hold(const json& object) {
  HoldMark mark;
  mark.reason = read_text(object, "reason", kMaxMarkText);
  mark.placed_ms = expect_time(object, "placed_ms");
  mark.until_ms = base::find_natural(object, "until_ms");
  return mark;
}

}  // namespace

base::Bytes encode_marks(const PointMarks& marks) {
  json object = json::object();
  if (marks.boot) {
    object["boot"] = {{"verdict", marks.boot->verdict},
                      {"reason", mark_text(marks.boot->reason)},
                      {"tested_ms", marks.boot->tested_ms},
                      {"recovery_ms", optional_json(marks.boot->recovery_ms)},
                      {"appliance", base::clean_text(marks.boot->appliance, kMaxNodeText)},
                      {"appliance_name", mark_text(marks.boot->appliance_name)}};
  }
  if (marks.hold) {
    object["hold"] = {{"reason", mark_text(marks.hold->reason)},
                      {"placed_ms", marks.hold->placed_ms},
                      {"until_ms", optional_json(marks.hold->until_ms)}};
  }
  std::string text = base::dump_text(object);
  base::ByteView view = base::as_bytes(text);
  return base::Bytes(view.begin(), view.end());
}

PointMarks decode_marks(base::ByteView bytes, std::string_view what) {
  try {
    if (bytes.size() > kMaxMarksSize)
      throw base::Error(base::ErrorCode::invalid_argument, "they are too long");
    json object = base::parse_json(base::as_text(bytes), what,
                                   {.depth = 4, .size = kMaxMarksSize, .value_count = 100});
    if (!object.is_object())
      throw base::Error(base::ErrorCode::invalid_argument, "they are no object");
    PointMarks marks;
    if (const json* boot = base::find_field(object, "boot")) marks.boot = read_boot(*boot);
    if (const json* hold = base::find_field(object, "hold")) marks.hold = read_hold(*hold);
    return marks;
  } catch (const base::Error& error) {
    throw base::Error(base::ErrorCode::corrupt,
                      fmt::format("{} cannot be read: {}", what, error.message()));
  }
}

std::string describe_boot_mark(const BootMark& mark) {
  return fmt::format("{}, tested {} by the appliance {}", mark.verdict,
                     base::format_time_ms(mark.tested_ms),
                     mark.appliance_name.empty() ? mark.appliance : mark.appliance_name);
}

}  // namespace images
