#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/stop_signals.h"
#include "base/text.h"
#include "restore/commands.h"
#include "restore/file_names.h"
#include "restore/host_definition.h"
#include "restore/point_help.h"
#include "restore/restore_disk.h"

namespace restore {
namespace {

using base::options::value;

constexpr size_t kMaxListed = 400;  // bytes of a line for people

void declare_machine(base::options::options_description_easy_init add) {
  declare_store(add);
  add("to", value<std::string>()->required()->value_name("DIR"),
      "the folder to write into; created if it does not exist");
  add("format",
      value<std::string>()->default_value("raw")->value_name(
          "raw|qcow2|vmdk|vhdx|vdi|vpc|qcow|qed|parallels"),
      "format of the disks");
  add("force", "overwrite files that exist");
  add("threads", value<uint32_t>()->default_value(2)->value_name("COUNT"),
      "how many threads decompress and write");
}

std::string extension(const std::string& format) {
  if (format == "raw") return "img";
  return format == "vpc" ? "vhd" : format;
}

void put_file(const std::string& path, base::ByteView bytes, Overwrite overwrite) {
  if (overwrite == Overwrite::refuse && std::filesystem::exists(path)) {
    throw base::Error(base::ErrorCode::already_exists, path + " exists: --force overwrites it");
  }
  base::write_file_durably(base::real_file_system(), path, bytes);
}

// Absolute, for the definition: libvirt takes no other.
std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

// What does not lie on disks: the firmware's variables, the state of a TPM. `nvram_path` is where the
// former are.
std::vector<std::string> write_state(const images::Point& point, FileNames& names,
                                     Overwrite overwrite, std::string& nvram_path) {
  std::vector<std::string> paths;
  for (const auto& [name, content] : point.definition.state_files) {
    paths.push_back(names.path_of(name));
    put_file(paths.back(), content, overwrite);
    if (name == "nvram") nvram_path = absolute(paths.back());
  }
  return paths;
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

int run_machine(const base::Arguments& arguments) {
  base::StopSignals signals;
  std::unique_ptr<images::StoreReader> store = open_store(arguments);
  images::Point point = store->read_point(store->find_point(arguments.get("POINT")));
  std::string directory = arguments.get("to");
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw base::system_error(error.value(), "cannot make the folder " + directory);
  DiskRestore options;
  options.store = store_of(arguments);
  options.point = point.id;
  options.format = arguments.get("format");
  options.overwrite = arguments.has("force") ? Overwrite::replace : Overwrite::refuse;
  options.thread_count = arguments.get<uint32_t>("threads");
  options.stop = signals.token();
  // The disks' names first: they are what the restore is for.
  FileNames names(directory);
  std::vector<std::string> targets;
  for (const images::PointDisk& disk : point.disks)
    targets.push_back(names.path_of(disk.name, "." + extension(options.format)));
  std::string xml_path, nvram_path;
  if (!point.definition.libvirt_xml.empty()) xml_path = names.path_of(point.machine_name, ".xml");
  std::vector<std::string> paths = write_state(point, names, options.overwrite, nvram_path);
  HostDefinition definition;
  if (!xml_path.empty()) {
    std::map<std::string, RestoredFile> files;
    for (size_t i = 0; i < targets.size(); ++i)
      files[point.disks[i].name] = {absolute(targets[i]), options.format};
    definition = adapt_definition(point.definition.libvirt_xml, files, nvram_path);
    put_file(xml_path, base::as_bytes(definition.xml), options.overwrite);
    paths.insert(paths.begin(), xml_path);
  }
  for (size_t i = 0; i < point.disks.size(); ++i) {
    const images::PointDisk& disk = point.disks[i];
    options.disk_name = disk.name;
    options.target = targets[i];
    base::ProgressPrinter printer(disk.name, base::progress_style_of_standard_error());
    options.on_progress = [&](const RestoreProgress& progress) {
      printer.show({.done = progress.bytes_done, .total = progress.bytes_total});
    };
    restore_disk(*store, options);
    paths.push_back(options.target);
  }
  if (arguments.json()) {
    fmt::print("{}\n", base::dump_text({{"point", point.id.hex()},
                                        {"machine", point.machine_name},
                                        {"files", paths},
                                        {"host_paths", definition.host_paths}}));
  } else {
    for (const std::string& path : paths) fmt::print("{}\n", path);
    if (!xml_path.empty()) print_definition_help(xml_path, definition);
  }
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
      "the restored files; every other path of its old host is listed, to be changed by hand.";
  return command;
}

}  // namespace restore
