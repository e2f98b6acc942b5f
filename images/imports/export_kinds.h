// How each kind of export is opened. Private to machine_export; errors are described there. Paths
// are real ones, without links.
#pragma once

#include "images/imports/foreign_machine.h"
#include "images/imports/machine_export.h"

namespace images {

MachineExport open_ova(const std::string& path, const MachineExportOptions& options);
MachineExport open_ovf(const std::string& path, const MachineExportOptions& options);
MachineExport open_vmx(const std::string& path, const MachineExportOptions& options);
MachineExport open_vma(const std::string& path, const MachineExportOptions& options);
MachineExport open_hyperv_folder(const std::string& path, const MachineExportOptions& options);
MachineExport open_hyperv_disk(const std::string& path, const MachineExportOptions& options);

// Without disks: name, definition, what is missing, notes. `disk_names` gets the names that the
// machine's disks have in the definition, in order.
MachineExport described(const std::string& kind, const ForeignMachine& machine,
                        std::vector<std::string>& disk_names);

// Throws cancelled if it is to stop.
void expect_going_on(const MachineExportOptions& options);

// The file that an export names, `name` relative to the folder of `descriptor` or absolute: its
// path without links. Throws not_found, and invalid_argument for one that lies elsewhere and was
// not allowed.
std::string file_of_export(const std::string& descriptor, const std::string& name,
                           const MachineExportOptions& options);

}  // namespace images
