#include "appliance/boot/model/boot_record.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr int kVersion = 1;
constexpr uint64_t kRecordLimit = 1 << 20;
constexpr auto kPhases =
    base::enum_names<Phase>("a phase of a boot", {{Phase::starting, "starting"},
                                                  {Phase::started, "started"},
                                                  {Phase::stopping, "stopping"},
                                                  {Phase::kept, "kept"},
                                                  {Phase::ended, "ended"}});

constexpr auto kHolders = base::enum_names<Holder>(
    "a holder of a machine",
    {{Holder::here, "here"}, {Holder::nobody, "nobody"}, {Holder::home, "home"}});

Holder holder_from_name(const std::string& name) {
  if (auto holder = kHolders.find(name)) return *holder;
  throw Error(ErrorCode::corrupt, "unknown holder '" + name + "'");
}

Phase phase_from_name(const std::string& name) {
  if (auto phase = kPhases.find(name)) return *phase;
  throw Error(ErrorCode::corrupt, "unknown phase '" + name + "'");
}

json disks_to_json(const InstantVm& vm) {
  json disks = json::array();
  for (const VmDisk& disk : vm.disks) {
    disks.push_back({{"name", disk.name},
                     {"target", disk.target},
                     {"overlay", disk.overlay_path},
                     {"size", disk.size}});
  }
  return disks;
}

json cards_to_json(const InstantVm& vm) {
  json cards = json::array();
  for (const VmNetworkCard& card : vm.network_cards) {
    NetworkChoice choice{card.mode, card.mode == NetworkMode::bridge ? card.source : ""};
    cards.push_back(
        {{"mac", card.mac}, {"network", network_choice_name(choice)}, {"source", card.source}});
  }
  return cards;
}

BootRecord parse_record(const json& object) {
  if (object.at("version").get<int>() != kVersion)
    throw Error(ErrorCode::unsupported, "a newer version");
  BootRecord record;
  record.phase = phase_from_name(object.at("phase"));
  record.console_password = object.at("console_password");
  record.keep_overlay = object.at("keep_overlay");
  record.tpm_folder = object.value("tpm_folder", "");
  record.has_fresh_macs = object.value("fresh_macs", false);
  record.trace_key = object.value("trace_key", "");
  InstantVm& vm = record.vm;
  vm.id = BootId::from_hex(object.at("boot").get<std::string>());
  vm.purpose = purpose_from_name(object.at("purpose").get<std::string>());
  vm.point = images::PointId::from_hex(object.at("point").get<std::string>());
  vm.machine_name = object.at("machine");
  vm.store = {object.at("store"), object.at("key_file"), object.at("passphrase_file")};
  vm.tenant = access::TenantName(object.value("tenant", ""));
  vm.requested_by = object.value("requested_by", "");
  if (object.contains("node"))
    vm.node = access::NodeId::from_hex(object["node"].get<std::string>());
  vm.started_ms = object.at("started_ms");
  vm.start_duration_ms = object.at("start_duration_ms");
  vm.domain_name = object.at("domain");
  vm.accelerator = accelerator_from_name(object.at("accelerator").get<std::string>());
  vm.firmware = images::firmware_from_name(object.at("firmware").get<std::string>());
  vm.cpu_count = object.at("cpus");
  vm.memory_size = object.at("memory");
  vm.is_pulling = object.value("pulling", false);
  vm.pull_bandwidth = object.value("pull_bandwidth", uint64_t{0});
  vm.is_local = object.value("local", false);
  vm.serial_log_path = object.at("serial_log");
  vm.notes = object.at("notes").get<std::vector<std::string>>();
  // Records of VMs started by an earlier version lack these: such a VM stays as it was.
  vm.restart = restart_policy_from_name(object.value("restart", "wait"));
  vm.timeline = timeline_from_name(object.value("timeline", "production"));
  vm.restart_count = object.value("restart_count", 0u);
  if (object.contains("restarted_ms")) vm.restarted_ms = object["restarted_ms"].get<uint64_t>();
  record.problem = object.value("problem", "");
  record.failed_restarts = object.value("failed_restarts", 0u);
  record.next_restart_ms = object.value("next_restart_ms", uint64_t{0});
  record.holder = holder_from_name(object.value("holder", "here"));
  record.start_number = object.value("start_number", "");
  record.failback = object.value("failback", int64_t{0});
  for (const json& disk : object.at("disks")) {
    vm.disks.push_back({.name = disk.at("name"),
                        .target = disk.value("target", disk.at("name").get<std::string>()),
                        .overlay_path = disk.at("overlay"),
                        .size = disk.at("size")});
  }
  for (const json& card : object.at("cards")) {
    NetworkChoice choice = network_choice_from_name(card.at("network").get<std::string>());
    vm.network_cards.push_back({card.at("mac"), choice.mode, card.at("source")});
  }
  return record;
}

}  // namespace

std::string_view holder_name(Holder holder) { return kHolders.name(holder); }

std::string BootPaths::overlay_path(std::string_view disk_name) const {
  // A disk's name may contain any character; a file's may not.
  std::string safe;
  for (char c : disk_name) {
    bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    safe += plain ? std::string(1, c) : fmt::format("_{:02x}", static_cast<unsigned char>(c));
  }
  return base::join_path(folder, "overlay-" + safe + ".qcow2");
}

BootPaths boot_paths(const std::string& state_directory, const std::string& run_directory,
                     const BootId& id) {
  BootPaths paths;
  paths.folder = base::join_path(base::join_path(state_directory, "vms"), id.hex());
  paths.run_folder = base::join_path(base::join_path(run_directory, "vms"), id.hex());
  paths.record_path = base::join_path(paths.folder, "boot.json");
  paths.domain_path = base::join_path(paths.folder, "domain.xml");
  paths.serial_path = base::join_path(paths.folder, "serial.log");
  paths.nvram_path = base::join_path(paths.folder, "nvram.fd");
  paths.log_path = base::join_path(paths.folder, "export.log");
  paths.trace_path = base::join_path(paths.folder, "boot.trace");
  paths.socket_path = base::join_path(paths.run_folder, "export.sock");
  return paths;
}

std::string record_to_json(const BootRecord& record) {
  const InstantVm& vm = record.vm;
  json object{
      {"version", kVersion},
      {"phase", kPhases.name(record.phase)},
      {"keep_overlay", record.keep_overlay},
      {"trace_key", record.trace_key},
      {"key_file", vm.store.key_file},
      {"passphrase_file", vm.store.passphrase_file},
      {"console_password", record.console_password},
      {"tpm_folder", record.tpm_folder},
      {"fresh_macs", record.has_fresh_macs},
      {"boot", vm.id.hex()},
      {"purpose", purpose_name(vm.purpose)},
      {"point", vm.point.hex()},
      {"machine", vm.machine_name},
      {"tenant", vm.tenant.text()},
      {"requested_by", vm.requested_by},
      {"node", vm.node.hex()},
      {"store", vm.store.location},
      {"started_ms", vm.started_ms},
      {"start_duration_ms", vm.start_duration_ms},
      {"domain", vm.domain_name},
      {"accelerator", accelerator_name(vm.accelerator)},
      {"firmware", images::firmware_name(vm.firmware)},
      {"cpus", vm.cpu_count},
      {"memory", vm.memory_size},
      {"pulling", vm.is_pulling},
      {"pull_bandwidth", vm.pull_bandwidth},
      {"local", vm.is_local},
      {"serial_log", vm.serial_log_path},
      {"notes", vm.notes},
      {"disks", disks_to_json(vm)},
      {"cards", cards_to_json(vm)},
      {"restart", restart_policy_name(vm.restart)},
      {"timeline", timeline_name(vm.timeline)},
      {"restart_count", vm.restart_count},
      {"problem", record.problem},
      {"failed_restarts", record.failed_restarts},
      {"next_restart_ms", record.next_restart_ms},
      {"holder", kHolders.name(record.holder)},
      {"start_number", record.start_number},
      {"failback", record.failback},
  };
  if (vm.restarted_ms) object["restarted_ms"] = *vm.restarted_ms;
  return base::dump_text(object, 2) + "\n";
}

BootRecord record_from_json(std::string_view text, std::string_view what) {
  try {
    return parse_record(base::parse_json(text, what));
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, fmt::format("{}: {}", what, error.message()));
  } catch (const json::exception& error) {
    throw Error(ErrorCode::corrupt, fmt::format("{}: {}", what, error.what()));
  }
}

void write_record(base::FileSystem& files, const BootPaths& paths, const BootRecord& record) {
  std::string text = record_to_json(record);
  if (text.size() > kRecordLimit) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the record of {} would be larger than {}, and could not be read again",
                            record.vm.machine_name, base::format_size(kRecordLimit)));
  }
  base::write_file_durably(files, paths.record_path, base::as_bytes(text));
}

BootRecord read_record(base::FileSystem& files, const BootPaths& paths) {
  base::Bytes bytes = base::read_file(files, paths.record_path, kRecordLimit);
  return record_from_json(base::as_text(bytes), paths.record_path);
}

}  // namespace appliance::boot
