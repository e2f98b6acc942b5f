#include "images/imports/export_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/clean_text.h"
#include "base/error.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr size_t kMaxShown = 200;  // bytes

bool lies_below(const fs::path& path, const fs::path& folder) {
  auto [rest, at] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end() && std::none_of(at, path.end(), [](const fs::path& word) {
           return word.string().starts_with('.');
         });
}

}  // namespace

MachineExport described(const std::string& kind, const ForeignMachine& machine,
                        std::vector<std::string>& disk_names) {
  ForeignDefinition made = definition_of(machine);
  disk_names = made.disk_names;
  MachineExport result;
  result.kind = kind;
  result.name = base::clean_text(machine.name, kMaxShown);
  result.definition = std::move(made.definition);
  result.missing = machine.missing;
  result.notes = std::move(made.notes);
  return result;
}

void expect_going_on(const MachineExportOptions& options) {
  if (options.stop.stop_requested())
    throw Error(ErrorCode::cancelled, "the import was stopped; nothing was saved");
}

std::string file_of_export(const std::string& descriptor, const std::string& name,
                           const MachineExportOptions& options) {
  std::string shown = base::clean_text(name, kMaxShown);
  fs::path folder = fs::path(descriptor).parent_path();
  std::error_code failed;
  fs::path real = fs::canonical(folder / name, failed);
  if (failed) {
    throw Error(ErrorCode::not_found, fmt::format("{} names {}, which cannot be opened: {}",
                                                  descriptor, shown, failed.message()));
  }
  if (folder != "/" && lies_below(real, folder)) return real.string();
  for (const std::string& each : options.allowed) {
    fs::path allowed = fs::canonical(each, failed);
    if (failed) throw base::system_error(failed.value(), "cannot find the allowed file " + each);
    if (lies_below(real, allowed)) return real.string();
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{} names {}, which is not in its folder; if that is meant, allow it: "
                          "--allow {}",
                          descriptor, shown, real.string()));
}

}  // namespace images
