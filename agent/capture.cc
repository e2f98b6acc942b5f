#include "agent/capture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"

namespace agent {

namespace {

bool fits(const std::string& rule, const DiskLabel& disk) {
  const std::string& subject = rule.find('/') == std::string::npos ? disk.name : disk.path;
  return rule == subject || ::fnmatch(rule.c_str(), subject.c_str(), 0) == 0;
}

}  // namespace

std::string joined_note(const std::vector<std::string>& clauses) {
  std::string note;
  for (const std::string& clause : clauses) {
    if (clause.empty()) continue;
    if (!note.empty()) note += "; ";
    note += clause;
  }
  return note;
}

std::string missing_note(const std::vector<std::string>& missing) {
  if (missing.empty()) return "";
  return fmt::format("not in the point: {}", fmt::join(missing, ", "));
}

std::vector<std::string> wanted_disks(const std::vector<DiskLabel>& disks,
                                      const CaptureSettings& settings) {
  std::vector<std::string> names;
  std::vector<std::string> wanted;
  for (const DiskLabel& disk : disks) {
    names.push_back(disk.name);
    bool excluded = std::any_of(settings.excluded_disks.begin(), settings.excluded_disks.end(),
                                [&](const std::string& rule) { return fits(rule, disk); });
    if (!excluded) wanted.push_back(disk.name);
  }
  for (const std::string& rule : settings.excluded_disks) {
    // A plain name that matches nothing is a mistake; a pattern may match nothing today.
    if (rule.find_first_of("*?[/") != std::string::npos) continue;
    if (std::find(names.begin(), names.end(), rule) != names.end()) continue;
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("machine {} has no disk {} to exclude; its disks are {}",
                                  settings.machine_name, rule, fmt::join(names, ", ")));
  }
  if (wanted.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("machine {} has no disk to capture", settings.machine_name));
  }
  return wanted;
}

}  // namespace agent
