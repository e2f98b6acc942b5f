// A machine that another hypervisor exported, as a whole machine: its definition and its disks.
//
//   FILE.ova      a tar archive of an OVF package (VMware, VirtualBox, …), read where it lies
//   FILE.ovf      the descriptor of an OVF package in a folder
//   FILE.vmx      VMware's settings of a machine, its VMDK files beside it
//   FILE.vma      Proxmox VE's backup; .vma.zst, .vma.gz, .vma.lzo are unpacked into a file first
//   a folder      that has one of these, or what Hyper-V exported: VHD or VHDX files
//   FILE.vhd(x)   a disk of Hyper-V alone, with its chain
//
// Everything in it is a stranger's. Files are read only in the export's folder and below it, and
// where a person allowed it; disks in formats of QEMU by a program that sees nothing else.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "images/disk_source.h"
#include "images/point.h"

namespace images {

struct MachineExportOptions {
  // Where private folders for sockets are made; short. Empty: TMPDIR, or /tmp.
  std::string runtime_directory;
  // … and those for unpacked archives. A compressed archive of Proxmox needs room there for what is
  // in it. Empty: TMPDIR, or /tmp.
  std::string unpack_directory;
  std::vector<std::string> allowed;  // images/sources/image_chain.h
  // What is done before disks can be copied ("verifying checksums"), and how much of it; may be
  // empty.
  std::function<void(const std::string& step, uint64_t done, uint64_t total)> on_progress;
  std::stop_token stop;  // ends these steps with `cancelled`
};

struct ExportedDisk {
  std::string name;  // in the definition: "sda"
  std::unique_ptr<DiskSource> source;
};

// Disks belong to it; like ImageSource it is used and destroyed on the thread that opened it.
struct MachineExport {
  std::string kind;  // for people: "OVA", "OVF", "VMX", "Hyper-V export", "VMA", "VHD"
  std::string name;  // of the machine, as the export says; may be empty
  MachineDefinition definition;
  std::vector<ExportedDisk> disks;
  std::vector<std::string> files;    // all that it was read from, to be watched for changes
  std::vector<std::string> missing;  // what people keep data on and is not in it
  std::vector<std::string> notes;    // what was changed or could not be known
  std::shared_ptr<void> keeps;       // unpacked files; deleted with it
};

// Opens it, verifying what has checksums. Throws not_found; corrupt (damaged, cut off, a checksum
// that does not match); unsupported, by name, for what cannot be read; invalid_argument for names
// that lead elsewhere and for a folder with several machines; no_space, cancelled.
MachineExport open_machine_export(const std::string& path, const MachineExportOptions& options);

// "exported from VMware as OVA; not in the point: …; …": for the point's note.
std::string note_of(const MachineExport& machine);

}  // namespace images
