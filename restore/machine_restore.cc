#include "restore/machine_restore.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "restore/file_names.h"

namespace restore {
namespace {

std::string extension(const std::string& format) {
  if (format == "raw") return "img";
  return format == "vpc" ? "vhd" : format;
}

// A file of an earlier, interrupted restore is the same one.
void put_file(const std::string& path, base::ByteView bytes, bool may_overwrite) {
  base::FileSystem& files = base::real_file_system();
  if (!may_overwrite && std::filesystem::exists(path)) {
    std::error_code error;
    bool is_same =
        std::filesystem::file_size(path, error) == bytes.size() && !error &&
        base::read_file(files, path, bytes.size()) == base::Bytes(bytes.begin(), bytes.end());
    if (is_same) return;
    throw base::Error(base::ErrorCode::already_exists,
                      path + " exists: --overwrite with the machine's name overwrites it");
  }
  base::write_file_durably(files, path, bytes);
}

// Absolute, for the definition: libvirt takes no other.
std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

// What does not lie on disks: the firmware's variables, the state of a TPM. `nvram_path` is where the
// former are.
std::vector<std::string> write_state(const images::Point& point, FileNames& names,
                                     bool may_overwrite, std::string& nvram_path) {
  std::vector<std::string> paths;
  for (const auto& [name, content] : point.definition.state_files) {
    paths.push_back(names.path_of(name));
    put_file(paths.back(), content, may_overwrite);
    if (name == "nvram") nvram_path = absolute(paths.back());
  }
  return paths;
}

// Where each disk goes: into the folder, unless --target names another place.
std::vector<DiskRestore> disks_of(const images::Point& point, const MachineRestore& order,
                                  FileNames& names) {
  for (const auto& [disk, place] : order.targets) static_cast<void>(point.disk(disk));
  for (const std::string& disk : order.disks) static_cast<void>(point.disk(disk));  // or not_found
  std::vector<DiskRestore> disks;
  for (const images::PointDisk& disk : point.disks) {
    bool is_wanted = order.disks.empty() || std::find(order.disks.begin(), order.disks.end(),
                                                      disk.name) != order.disks.end();
    if (!is_wanted) continue;
    auto place = order.targets.find(disk.name);
    disks.push_back(order.common);
    disks.back().point = point.id;
    disks.back().machine_name = point.machine_name;
    disks.back().disk_name = disk.name;
    disks.back().target = place != order.targets.end()
                              ? place->second
                              : names.path_of(disk.name, "." + extension(order.common.format));
  }
  return disks;
}

void make_folder(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw base::system_error(error.value(), "cannot make the folder " + directory);
}

MachineFiles write_machine_files(const images::Point& point, FileNames& names,
                                 const std::vector<DiskRestore>& disks, bool may_overwrite) {
  MachineFiles files;
  if (!point.definition.libvirt_xml.empty())
    files.xml_path = names.path_of(point.machine_name, ".xml");
  files.paths = write_state(point, names, may_overwrite, files.nvram_path);
  if (files.xml_path.empty()) return files;
  std::map<std::string, RestoredFile> restored;
  for (const DiskRestore& disk : disks) {
    std::error_code error;
    restored[disk.disk_name] = {absolute(disk.target), disk.format,
                                std::filesystem::is_block_file(disk.target, error)};
  }
  files.definition = adapt_definition(point.definition.libvirt_xml, restored, files.nvram_path);
  put_file(files.xml_path, base::as_bytes(files.definition.xml), may_overwrite);
  files.paths.insert(files.paths.begin(), files.xml_path);
  return files;
}

}  // namespace

MachineResult restore_machine(images::StoreReader& store, const images::Point& point,
                              const MachineRestore& order, const WriteDisk& write) {
  // The disks' names first: they are what the restore is for.
  FileNames names(order.directory);
  MachineResult result;
  result.disks = disks_of(point, order, names);
  for (DiskRestore& disk : result.disks) check_restore(store, disk);  // all, before any is written
  if (!order.common.write.survey) {
    make_folder(order.directory);
    bool may_overwrite = order.common.overwriting.machine_name == point.machine_name;
    result.files = write_machine_files(point, names, result.disks, may_overwrite);
  }
  for (const DiskRestore& disk : result.disks) result.results.push_back(write(disk));
  return result;
}

}  // namespace restore
