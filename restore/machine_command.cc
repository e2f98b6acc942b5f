#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/stop_signals.h"
#include "base/text.h"
#include "restore/commands.h"
#include "restore/machine_export.h"
#include "restore/point_help.h"
#include "restore/write_arguments.h"

namespace restore {
namespace {

using base::options::value;

constexpr size_t kMaxListed = 400;  // bytes of a line for people

void declare_machine(base::options::options_description_easy_init add) {
  declare_store(add);
  add("to", value<std::string>()->required()->value_name("DIR"),
      "the folder to write into; created if it does not exist");
  add("target", value<std::vector<std::string>>()->value_name("DISK=PATH"),
      "where one disk is written instead: a file or a block device; may be repeated");
  add("as",
      value<std::string>()->default_value("libvirt")->value_name("libvirt|ova|hyperv|proxmox"),
      "the form of it: disks and libvirt's XML; one OVA file; VHDX and a script for Hyper-V; qcow2 "
      "and a configuration of Proxmox VE");
  add("vmid", value<uint32_t>()->default_value(100)->value_name("NUMBER"),
      "with --as proxmox: the machine's number there");
  declare_writing(add);
}

void print_definition_help(const std::string& path, const HostDefinition& definition) {
  std::string adapted;
  for (const std::string& each : definition.adapted)
    adapted += (adapted.empty() ? "" : ", ") + each;
  if (!adapted.empty()) {
    fmt::print(stderr, "{}: these use the restored files now: {}.\n", path,
               base::clean_text(adapted, kMaxListed));
  }
  if (!definition.host_paths.empty()) {
    fmt::print(stderr, "Before 'virsh define', change or remove what is still its host's:\n");
    for (const std::string& each : definition.host_paths)
      fmt::print(stderr, "  {}\n", base::clean_text(each, kMaxListed));
    if (definition.has_more_paths) fmt::print(stderr, "  … and more\n");
  }
  fmt::print(stderr,
             "Check its networks, bridges and host devices too, and define it where the original "
             "does not run: it has the original's identity.\n");
}

// "vda=/dev/sdb"
std::map<std::string, std::string> targets_of(const base::Arguments& arguments) {
  std::map<std::string, std::string> targets;
  for (const std::string& each : arguments.list("target")) {
    size_t equals = each.find('=');
    std::string disk = each.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == each.size()) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        "'" + each + "' is not DISK=PATH, as in vda=/dev/sdb");
    }
    if (!targets.emplace(disk, each.substr(equals + 1)).second)
      throw base::Error(base::ErrorCode::invalid_argument, "--target names " + disk + " twice");
  }
  return targets;
}

void print_outcome(const base::Arguments& arguments, const images::Point& point,
                   const MachineResult& result) {
  const auto& [files, disks, results] = result;
  std::vector<std::string> paths = files.paths;
  nlohmann::json written = nlohmann::json::array();
  for (size_t i = 0; i < disks.size(); ++i) {
    paths.push_back(disks[i].target);
    written.push_back(json_of(disks[i], results[i]));
  }
  if (arguments.json()) {
    fmt::print("{}\n", base::dump_text({{"point", point.id.hex()},
                                        {"machine", point.machine_name},
                                        {"files", paths},
                                        {"disks", written},
                                        {"host_paths", files.definition.host_paths}}));
    return;
  }
  if (!arguments.has("survey"))
    for (const std::string& path : paths) fmt::print("{}\n", path);
  for (size_t i = 0; i < disks.size(); ++i) {
    fmt::print(stderr, "{}\n", sentence_of(disks[i], results[i]));
    for (const std::string& note : results[i].notes) fmt::print(stderr, "{}.\n", note);
  }
  if (!files.xml_path.empty()) print_definition_help(files.xml_path, files.definition);
}

// Options that an export, which is always made anew, does not have.
void require_plain_export(const base::Arguments& arguments) {
  for (const char* option : {"in-place", "survey", "target", "overwrite"}) {
    if (arguments.has(option)) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        fmt::format("--{} is for libvirt's form; --as {} makes new files", option,
                                    arguments.get("as")));
    }
  }
}

int run_export(const base::Arguments& arguments, images::StoreReader& store,
               const images::Point& point, const MachineRestore& machine) {
  require_plain_export(arguments);
  ExportOrder order;
  order.hypervisor = hypervisor_from_name(arguments.get("as"));
  order.directory = machine.directory;
  order.common = machine.common;
  order.vmid = arguments.get<uint32_t>("vmid");
  ExportResult result = export_machine(
      point, order, [&](const DiskRestore& disk) { return restore_with_progress(store, disk); });
  if (arguments.json()) {
    fmt::print("{}\n", base::dump_text({{"point", point.id.hex()},
                                        {"machine", point.machine_name},
                                        {"files", result.paths},
                                        {"notes", result.notes}}));
    return 0;
  }
  for (const std::string& path : result.paths) fmt::print("{}\n", path);
  for (const std::string& note : result.notes) fmt::print(stderr, "{}.\n", note);
  return 0;
}

int run_machine(const base::Arguments& arguments) {
  base::StopSignals signals;
  std::unique_ptr<images::StoreReader> store = open_store(arguments, signals.token());
  MachineRestore order;
  order.common = writing_of(arguments, signals.token());
  order.common.store = store_of(arguments);
  order.directory = arguments.get("to");
  order.targets = targets_of(arguments);
  images::Point point = store->read_point(store->find_point(arguments.get("POINT")));
  if (hypervisor_from_name(arguments.get("as")) != Hypervisor::libvirt)
    return run_export(arguments, *store, point, order);
  MachineResult result = restore_machine(*store, point, order, [&](const DiskRestore& disk) {
    return restore_with_progress(*store, disk);
  });
  print_outcome(arguments, point, result);
  return 0;
}

}  // namespace

base::Command machine_command() {
  base::Command command;
  command.name = "machine";
  command.summary = "Write all disks and the definition of a point's machine into a folder";
  command.positional = {"POINT"};
  command.declare_options = declare_machine;
  command.run = run_machine;
  command.notes =
      std::string(kPointHelp) +
      "\n\nThe .xml is libvirt's definition of the machine. Its disks and its UEFI variables are "
      "the restored files; every other path of its old host is listed, to be changed by hand."
      "\n\nTo set a machine back where it is, shut it down and name its own disks: --in-place "
      "--target vda=/dev/vg/web --overwrite NAME. Only what differs is written; --survey says "
      "before how much that is. All targets are checked before the first is written.";
  return command;
}

}  // namespace restore
