// VMware's machines in a folder: settings, and VMDK files beside them.
#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/file_system.h"
#include "images/imports/export_kinds.h"
#include "images/imports/vmx_file.h"
#include "images/sources/image_file_source.h"

namespace images {

MachineExport open_vmx(const std::string& path, const MachineExportOptions& options) {
  base::Bytes text = base::read_file(base::real_file_system(), path, kMaxVmx);
  ForeignMachine machine = read_vmx(base::as_text(text), path);
  std::string variables = path.substr(0, path.size() - 4) + ".nvram";
  if (machine.firmware == Firmware::uefi && base::real_file_system().exists(variables))
    machine.missing.emplace_back("its UEFI variables (VMware's own format)");
  std::vector<std::string> disk_names;
  MachineExport result = described("VMX", machine, disk_names);
  result.files.push_back(path);
  for (size_t i = 0; i < machine.disks.size(); ++i) {
    const ForeignDisk& disk = machine.disks[i];
    std::string file = file_of_export(path, disk.file, options);
    ImageSource opened;
    try {
      opened = open_image_source(file, {.format = "vmdk",
                                        .runtime_directory = options.runtime_directory,
                                        .allowed = options.allowed});
    } catch (const base::Error& error) {
      throw error.with_context("disk " + disk.label);
    }
    for (std::string& each : opened.files) result.files.push_back(std::move(each));
    result.disks.push_back({disk_names[i], std::move(opened.disk)});
  }
  return result;
}

}  // namespace images
