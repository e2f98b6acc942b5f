// What BootOperations does to the Windows in a VM's overlays: before its first start, and when it is
// taken back.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "appliance/boot/boot_operations.h"
#include "appliance/boot/files/overlay.h"
#include "appliance/boot/files/vm_files.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "images/export/export_process.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::ExportProcess;

constexpr uint64_t kRecordLimit = 4 << 20;  // bytes

// What was changed in a Windows, for unprepare().
std::string windows_record_path(const BootPaths& paths) {
  return base::join_path(paths.folder, "windows.json");
}

}  // namespace

void BootOperations::prepare_guest(BootRecord& record, const Preparation& prepared,
                                   const BootPaths& paths) {
  std::vector<nlohmann::json> taken;
  std::set<std::string> given_up;
  for (const NtfsPartition& each : prepared.ntfs_partitions) {
    if (given_up.contains(each.disk)) continue;
    std::string overlay = paths.overlay_path(each.disk);
    WindowsOutcome outcome = prepare_windows(overlay, each);
    if (outcome.must_discard) {
      given_up.insert(each.disk);
      std::erase_if(taken, [&](const nlohmann::json& entry) { return entry["disk"] == each.disk; });
      base::real_file_system().remove(overlay);
      make_overlay(overlay, paths.socket_path, each.disk, prepared.point.disk(each.disk).size,
                   record.vm.purpose == Purpose::instant ? Tracking::on : Tracking::off);
    }
    for (std::string& note : outcome.notes) record.vm.notes.push_back(std::move(note));
    if (outcome.changes.empty()) continue;
    taken.push_back({{"disk", each.disk},
                     {"offset", each.offset},
                     {"size", each.size},
                     {"changes", nlohmann::json::parse(outcome.changes)}});
  }
  if (taken.empty()) return;
  base::write_file_durably(base::real_file_system(), windows_record_path(paths),
                           base::as_bytes(base::dump_text(nlohmann::json(taken), 1)));
}

InstantVm BootOperations::unprepare(const BootId& id) {
  auto lock = lock_of(id);
  BootRecord record = lookup_.open_own_record(id);
  BootPaths paths = lookup_.paths_of(id);
  if (record.failback != 0) {
    throw Error(ErrorCode::busy,
                fmt::format("failback {} is bringing {} home: its disks stay as they are",
                            record.failback, record.vm.machine_name));
  }
  if (!base::real_file_system().exists(windows_record_path(paths))) {
    throw Error(ErrorCode::not_found,
                fmt::format("nothing was changed in a Windows of {}, or it was taken back already",
                            record.vm.domain_name));
  }
  if (hypervisor_.state(record.vm.domain_name) != DomainState::off) {
    throw Error(ErrorCode::busy, fmt::format("{} uses its disks: shut its Windows down first",
                                             record.vm.domain_name));
  }
  // The overlay is read through the export, which an ended VM may no longer have.
  bool needs_export = !record.vm.is_local && !ExportProcess::find(paths.socket_path);
  auto stop_export = [&] {
    if (!needs_export) return;
    if (auto server = ExportProcess::find(paths.socket_path)) server->stop();
  };
  try {
    if (needs_export) {
      make_boot_folders(paths, hypervisor_.qemu_user());
      start_export(record, paths, ExportUse::running);
    }
    take_back(record, paths);
  } catch (const Error&) {
    stop_export();
    throw;
  }
  stop_export();
  return lookup_.describe(record, DomainState::off);
}

void BootOperations::take_back(BootRecord& record, const BootPaths& paths) {
  std::string path = windows_record_path(paths);
  nlohmann::json taken = base::parse_json(
      base::as_text(base::read_file(base::real_file_system(), path, kRecordLimit)), path);
  for (const nlohmann::json& each : taken) {
    NtfsPartition partition{base::expect_text(each, "disk", 200),
                            base::expect_natural(each, "offset"),
                            base::expect_natural(each, "size")};
    record.vm.notes.push_back(take_back_windows(paths.overlay_path(partition.disk),
                                                ImageFormat::qcow2, partition,
                                                base::dump_text(each.at("changes"))));
  }
  write_record(base::real_file_system(), paths, record);
  base::real_file_system().remove(path);
}

}  // namespace appliance::boot
