#include "appliance/boot/point_uses.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "appliance/boot/model/boot_record.h"
#include "base/error.h"
#include "base/file_system.h"

namespace appliance::boot {
namespace {

namespace fs = std::filesystem;

std::string sentence_of(const InstantVm& vm) {
  if (vm.purpose == Purpose::test)
    return fmt::format("a test boot of {} runs from it, and ends by itself", vm.machine_name);
  return fmt::format(
      "the instant VM {0} of {1} needs this point. Copy the whole image to disks of its own: "
      "muletto boot pull {0}. Or stop the VM, which asks what becomes of its writes: muletto boot "
      "stop {0}",
      vm.id.hex(), vm.machine_name);
}

void add_record(const std::string& state_directory, const BootId& id, PointUses& uses) {
  BootPaths paths = boot_paths(state_directory, "", id);
  try {
    InstantVm vm = read_record(base::real_file_system(), paths).vm;
    if (!vm.is_local) uses.by_point.emplace(vm.point, sentence_of(vm));
  } catch (const base::Error& error) {
    // A folder without a record: the boot has not started, and its point is pinned; or it has
    // ended.
    if (error.code() == base::ErrorCode::not_found) return;
    uses.unreadable.push_back(fmt::format(
        "the record of an instant VM cannot be read, so it is not known which point it needs: {}",
        error.message()));
  }
}

enum class Absence { is_fine, is_a_problem };

// The names in a folder.
std::vector<std::string> names_in(const std::string& folder, Absence absence, PointUses& uses) {
  std::vector<std::string> names;
  std::error_code problem;
  fs::directory_iterator entry(folder, problem);
  for (; !problem && entry != fs::directory_iterator(); entry.increment(problem))
    names.push_back(entry->path().filename().string());
  bool is_absent =
      problem == std::errc::no_such_file_or_directory || problem == std::errc::not_a_directory;
  if (problem && !(is_absent && absence == Absence::is_fine)) {
    uses.unreadable.push_back(
        fmt::format("the folder {} cannot be read, so it is not known which points are in use: {}",
                    folder, problem.message()));
  }
  return names;
}

void add_boots(const std::string& state_directory, Absence absence, PointUses& uses) {
  for (const std::string& name : names_in(base::join_path(state_directory, "vms"), absence, uses)) {
    std::optional<BootId> id;
    try {
      id = BootId::from_hex(name);
    } catch (const base::Error&) {
      continue;  // not ours
    }
    add_record(state_directory, *id, uses);
  }
}

}  // namespace

PointUses point_uses(const std::string& state_directory) {
  PointUses uses;
  add_boots(state_directory, Absence::is_a_problem, uses);
  std::string workers = base::join_path(state_directory, "verify");
  for (const std::string& name : names_in(workers, Absence::is_fine, uses))
    add_boots(base::join_path(workers, name), Absence::is_fine, uses);
  return uses;
}

}  // namespace appliance::boot
