#include "appliance/api/routes/metrics.h"

#include <fmt/format.h>

#include "base/clean_text.h"

namespace appliance::api {
namespace {

constexpr size_t kMaxLabel = 255;  // bytes

std::string label_value(std::string_view text) {
  std::string value;
  for (char c : base::clean_text(text, kMaxLabel)) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  return value;
}

}  // namespace

void MetricsText::gauge(std::string_view name, std::string_view help, const Labels& labels,
                        double value) {
  Family& family = families_[std::string(name)];
  family.help = help;
  std::string list;
  for (const auto& [label, text] : labels)
    list += fmt::format("{}{}=\"{}\"", list.empty() ? "" : ",", label, label_value(text));
  if (!list.empty()) list = "{" + list + "}";
  family.samples += fmt::format("{}{} {}\n", name, list, value);
}

std::string MetricsText::text() const {
  std::string text;
  for (const auto& [name, family] : families_)
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{2}", name, family.help, family.samples);
  return text;
}

}  // namespace appliance::api
