#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/progress.h"
#include "base/stop_signals.h"
#include "base/text.h"
#include "restore/commands.h"
#include "restore/file_names.h"
#include "restore/point_help.h"
#include "restore/restore_disk.h"

namespace restore {
namespace {

using base::options::value;

void declare_options(base::options::options_description_easy_init add) {
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

// The definition as its host had it, and what does not lie on disks.
std::vector<std::string> write_definition(const images::Point& point, FileNames& names,
                                          Overwrite overwrite) {
  std::vector<std::string> paths;
  if (!point.definition.libvirt_xml.empty()) {
    paths.push_back(names.path_of(point.machine_name, ".xml"));
    put_file(paths.back(), base::as_bytes(point.definition.libvirt_xml), overwrite);
  }
  for (const auto& [name, content] : point.definition.state_files) {
    paths.push_back(names.path_of(name));
    put_file(paths.back(), content, overwrite);
  }
  return paths;
}

int run(const base::Arguments& arguments) {
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
  std::vector<std::string> paths = write_definition(point, names, options.overwrite);
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
    fmt::print("{}\n",
               base::dump_text(
                   {{"point", point.id.hex()}, {"machine", point.machine_name}, {"files", paths}}));
  } else {
    for (const std::string& path : paths) fmt::print("{}\n", path);
    if (!point.definition.libvirt_xml.empty()) {
      fmt::print(
          stderr,
          "The .xml is what the host said of its machine, with its host's paths and devices: read "
          "it before 'virsh define'.\n");
    }
  }
  return 0;
}

}  // namespace

base::Command machine_command() {
  base::Command command;
  command.name = "machine";
  command.summary = "Write all disks and the definition of a point's machine into a folder";
  command.positional = {"POINT"};
  command.declare_options = declare_options;
  command.run = run;
  command.notes = kPointHelp;
  return command;
}

}  // namespace restore
