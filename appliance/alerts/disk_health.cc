#include "appliance/alerts/disk_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::alerts {
namespace {

using nlohmann::json;

constexpr uint64_t kLeastKnown_ms = 3ull * 24 * 3'600'000;

// Sectors that the disk could not read, or had to replace.
constexpr std::pair<uint64_t, const char*> kBadSectors[] = {
    {5, "reallocated"}, {197, "waiting to be reallocated"}, {198, "unreadable"}};

std::string ata_problem(const json& report) {
  const json* attributes = base::find_field(report, "ata_smart_attributes");
  if (attributes == nullptr) return "";
  std::string words;
  for (const json& each : base::find_list(*attributes, "table")) {
    auto id = base::find_natural(each, "id");
    const json* raw = base::find_field(each, "raw");
    auto value = raw == nullptr ? std::nullopt : base::find_natural(*raw, "value");
    if (!id || !value || *value == 0) continue;
    for (const auto& [bad, what] : kBadSectors) {
      if (*id == bad)
        words += fmt::format("{}{} {}", words.empty() ? "sectors: " : ", ", *value, what);
    }
  }
  return words;
}

std::string nvme_problem(const json& report) {
  const json* log = base::find_field(report, "nvme_smart_health_information_log");
  if (log == nullptr) return "";
  if (base::find_natural(*log, "critical_warning").value_or(0) != 0)
    return "it reports a critical warning";
  if (uint64_t errors = base::find_natural(*log, "media_errors").value_or(0); errors > 0)
    return fmt::format("it has had {}", base::format_count(errors, "media error"));
  if (base::find_natural(*log, "percentage_used").value_or(0) >= 100) return "it is worn out";
  return "";
}

// "[UU_]": each disk of an array, _ for one that is missing.
bool lacks_disk(std::string_view line) {
  for (size_t at = line.find('['); at != std::string_view::npos; at = line.find('[', at + 1)) {
    size_t end = line.find(']', at);
    if (end == std::string_view::npos) return false;
    std::string_view inside = line.substr(at + 1, end - at - 1);
    bool is_map = !inside.empty() && inside.find_first_not_of("U_") == std::string_view::npos;
    if (is_map && inside.find('_') != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::optional<HardwareProblem> smart_problem(const std::string& device, const json& report) {
  std::string words;
  const json* status = base::find_field(report, "smart_status");
  if (status != nullptr && base::find_flag(*status, "passed") == false)
    words = "it says itself that it is failing";
  for (const std::string& each : {ata_problem(report), nvme_problem(report)}) {
    if (!each.empty()) words += (words.empty() ? "" : "; ") + each;
  }
  if (words.empty()) return std::nullopt;
  std::string model =
      base::clean_text(base::find_text(report, "model_name").value_or("unknown model"), 80);
  return HardwareProblem{device,
                         fmt::format("the disk {} ({}) has problems: {}", device, model, words)};
}

std::vector<HardwareProblem> mdstat_problems(std::string_view mdstat) {
  std::vector<HardwareProblem> found;
  std::string array, words;
  auto end_array = [&] {
    if (!array.empty() && !words.empty())
      found.push_back({array, fmt::format("the array {} {}", array, words)});
    words.clear();
  };
  for (const std::string& line : base::split(mdstat, '\n')) {
    if (line.starts_with("md")) {
      end_array();
      array = base::clean_text(line.substr(0, line.find(' ')), 40);
      if (line.find(" inactive ") != std::string::npos) words = "is not running";
      if (line.find("(F)") != std::string::npos) words = "has a failed disk";
    } else if (!array.empty() && lacks_disk(line)) {
      words = "lacks a disk: the next failure may lose everything on it";
    } else if (!array.empty() && !words.empty() && line.find("recovery =") != std::string::npos) {
      words += " (it is being rebuilt)";
    }
  }
  end_array();
  return found;
}

std::vector<HardwareProblem> zpool_problems(std::string_view list) {
  std::vector<HardwareProblem> found;
  for (const std::string& line : base::split(list, '\n')) {
    std::vector<std::string> words = base::split(line, '\t');
    if (words.size() != 2 || words[1] == "ONLINE") continue;
    std::string name = base::clean_text(words[0], 80);
    found.push_back({"pool " + name,
                     fmt::format("the ZFS pool {} is {}", name, base::clean_text(words[1], 40))});
  }
  return found;
}

std::optional<uint64_t> time_until_full_ms(const std::vector<SpaceSample>& samples) {
  if (samples.size() < 3 || samples.back().time_ms < samples.front().time_ms + kLeastKnown_ms)
    return std::nullopt;
  double n = static_cast<double>(samples.size()), sum_t = 0, sum_f = 0, sum_tt = 0, sum_tf = 0;
  for (const SpaceSample& each : samples) {
    double t = static_cast<double>(each.time_ms) - static_cast<double>(samples.front().time_ms);
    double f = static_cast<double>(each.free);
    sum_t += t;
    sum_f += f;
    sum_tt += t * t;
    sum_tf += t * f;
  }
  double spread = n * sum_tt - sum_t * sum_t;
  if (spread <= 0) return std::nullopt;
  double slope = (n * sum_tf - sum_t * sum_f) / spread;  // bytes in a millisecond
  if (slope >= 0) return std::nullopt;
  double left = static_cast<double>(samples.back().free) / -slope;
  constexpr double kForever = 1e15;
  if (left > kForever) return std::nullopt;
  return static_cast<uint64_t>(left);
}

}  // namespace appliance::alerts
