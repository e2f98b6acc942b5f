#include "restore/machine_export.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/digest.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "restore/file_names.h"
#include "restore/foreign_definition.h"

namespace restore {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::ErrorCode;

constexpr auto kHypervisors =
    base::enum_names<Hypervisor>("a hypervisor", {{Hypervisor::libvirt, "libvirt"},
                                                  {Hypervisor::ova, "ova"},
                                                  {Hypervisor::hyperv, "hyperv"},
                                                  {Hypervisor::proxmox, "proxmox"}});
constexpr uint64_t kUstarLimit = 8ull << 30;  // bytes of a file in an archive of the kind ustar
constexpr auto kTarTimeout = std::chrono::hours(48);

void require_absent(const std::string& path) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error)))
    throw Error(ErrorCode::already_exists, path + " exists: choose another folder, or remove it");
}

void write_text(const std::string& path, const std::string& text) {
  require_absent(path);
  base::write_file_durably(base::real_file_system(), path, base::as_bytes(text));
}

std::string sha256_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  base::Digest digest(base::DigestKind::sha256);
  base::Bytes piece(1 << 20);
  while (file) {
    file.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    digest.update(base::ByteView(piece).first(static_cast<size_t>(file.gcount())));
  }
  if (!file.eof()) throw Error(ErrorCode::io, "cannot read " + path);
  return digest.finish();
}

// Writes each disk to FOLDER/NAME, where NAME is made by `name_of`.
template <typename NameOf>
std::vector<ForeignDisk> write_disks(const images::Point& point, const ExportOrder& order,
                                     const WriteDisk& write, const std::string& folder,
                                     const std::string& format, const NameOf& name_of) {
  std::vector<ForeignDisk> disks;
  for (const images::PointDisk& each : point.disks) {
    DiskRestore disk = order.common;
    disk.point = point.id;
    disk.machine_name = point.machine_name;
    disk.disk_name = each.name;
    disk.format = format;
    disk.stream_optimized = order.hypervisor == Hypervisor::ova;
    disk.overwriting = {};
    disk.ask = nullptr;
    std::string name = name_of(each, disks.size());
    disk.target = base::join_path(folder, name);
    require_absent(disk.target);
    write(disk);
    disks.push_back({each.name, name, each.size, fs::file_size(disk.target)});
  }
  return disks;
}

std::string file_name_of(const std::string& path) { return fs::path(path).filename().string(); }

ExportResult export_ova(const images::Point& point, const ExportOrder& order,
                        const WriteDisk& write) {
  FileNames names(order.directory);
  std::string target = names.path_of(point.machine_name, ".ova");
  require_absent(target);
  base::ScratchDirectory scratch(order.directory, ".ova");
  auto disks = write_disks(point, order, write, scratch.path(), "vmdk",
                           [](const images::PointDisk&, size_t number) {
                             return fmt::format("disk{}.vmdk", number + 1);
                           });
  std::string ovf = "machine.ovf", manifest;
  write_text(base::join_path(scratch.path(), ovf), ovf_descriptor(point, disks));
  // The descriptor comes first, as OVF demands, so that it is read before the disks arrive.
  std::vector<std::string> files{ovf};
  bool is_large = false;
  for (const ForeignDisk& disk : disks) {
    files.push_back(disk.file);
    is_large = is_large || disk.file_size >= kUstarLimit;
  }
  for (const std::string& file : files)
    manifest +=
        fmt::format("SHA256({})= {}\n", file, sha256_of(base::join_path(scratch.path(), file)));
  write_text(base::join_path(scratch.path(), "machine.mf"), manifest);
  files.insert(files.begin() + 1, "machine.mf");
  std::string archive = base::join_path(scratch.path(), "machine.ova");
  std::vector<std::string> command{"tar",          is_large ? "--format=gnu" : "--format=ustar",
                                   "--owner=0",    "--group=0",
                                   "--mode=0644",  "-C",
                                   scratch.path(), "-cf",
                                   archive};
  command.insert(command.end(), files.begin(), files.end());
  base::run_checked(command, kTarTimeout);
  if (::link(archive.c_str(), target.c_str()) != 0)
    throw base::system_error(errno, "cannot make " + target);
  base::real_file_system().sync_directory(order.directory);
  return {{target}, foreign_notes(point)};
}

ExportResult export_hyperv(const images::Point& point, const ExportOrder& order,
                           const WriteDisk& write) {
  FileNames names(order.directory);
  std::string script = names.path_of(point.machine_name, ".ps1");
  require_absent(script);
  ExportResult result{{script}, foreign_notes(point)};
  auto disks = write_disks(point, order, write, order.directory, "vhdx",
                           [&](const images::PointDisk& disk, size_t) {
                             result.paths.push_back(names.path_of(disk.name, ".vhdx"));
                             return file_name_of(result.paths.back());
                           });
  write_text(script, hyperv_script(point, disks));
  return result;
}

ExportResult export_proxmox(const images::Point& point, const ExportOrder& order,
                            const WriteDisk& write) {
  std::string config = base::join_path(order.directory, fmt::format("{}.conf", order.vmid));
  require_absent(config);
  ExportResult result{{config}, foreign_notes(point)};
  auto disks = write_disks(
      point, order, write, order.directory, "qcow2", [&](const images::PointDisk&, size_t number) {
        std::string name = fmt::format("vm-{}-disk-{}.qcow2", order.vmid, number);
        result.paths.push_back(base::join_path(order.directory, name));
        return name;
      });
  write_text(config, proxmox_config(point, disks, order.vmid));
  result.notes.push_back(
      fmt::format("on Proxmox VE the disks belong into /var/lib/vz/images/{0}/ and {0}.conf into "
                  "/etc/pve/qemu-server/; choose a number that is free there (--vmid)",
                  order.vmid));
  return result;
}

}  // namespace

Hypervisor hypervisor_from_name(std::string_view name) { return kHypervisors.value(name); }

ExportResult export_machine(const images::Point& point, const ExportOrder& order,
                            const WriteDisk& write) {
  std::error_code error;
  fs::create_directories(order.directory, error);
  if (error) throw base::system_error(error.value(), "cannot make the folder " + order.directory);
  switch (order.hypervisor) {
    case Hypervisor::ova: return export_ova(point, order, write);
    case Hypervisor::hyperv: return export_hyperv(point, order, write);
    case Hypervisor::proxmox: return export_proxmox(point, order, write);
    case Hypervisor::libvirt: break;
  }
  throw Error(ErrorCode::invalid_argument, "libvirt's form is not an export");
}

}  // namespace restore
