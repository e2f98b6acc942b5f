#include "appliance/restores/restore_figures.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_access.h"

namespace appliance::restores {
namespace {

using nlohmann::json;

// The sum over the disks; none if one of them has no such number.
std::optional<uint64_t> sum_of(const json& disks, const char* name) {
  uint64_t sum = 0;
  for (const json& disk : disks) {
    auto value = base::find_natural(disk, name);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum;
}

}  // namespace

bool is_restore(const catalog::Job& job) {
  return std::find(kRestoreKinds.begin(), kRestoreKinds.end(), job.kind) != kRestoreKinds.end();
}

RestoreFigures restore_figures(const catalog::Job& job) {
  RestoreFigures result;
  json figures = base::find_json(job.figures, base::kOwnJsonLimits).value_or(json());
  if (!figures.is_object()) return result;
  if (const json* target = base::find_field(figures, "target"); target && target->is_object()) {
    result.target.kind = base::find_text(*target, "kind").value_or("");
    result.target.name = base::find_text(*target, "name").value_or("");
  }
  result.is_survey = base::find_flag(figures, "survey").value_or(false);
  result.size = base::find_natural(figures, "size");
  if (job.kind == "host-restore") {
    result.differing = base::find_natural(figures, "differing");
    result.written = base::find_natural(figures, "written");
    result.read_back = base::find_natural(figures, "verified");
    result.received = base::find_natural(figures, "received");
    return result;
  }
  // Each disk is in the list when it is done.
  json disks = json::array();
  for (const json& disk : base::find_list(figures, "disks"))
    if (disk.is_object()) disks.push_back(disk);
  if (disks.empty()) return result;
  result.differing = sum_of(disks, "differing");
  result.written = sum_of(disks, "written");
  result.read_back = sum_of(disks, "verified");
  return result;
}

std::string describe_target(const RestoreTarget& target) {
  return target.kind.empty() ? "its target" : "the " + target.kind + " " + target.name;
}

}  // namespace appliance::restores
