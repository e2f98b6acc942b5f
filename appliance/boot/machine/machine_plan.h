// The computer an instant VM gets: what its definition asks for, adapted to what this appliance
// has.
//
// Kept, so that the guest finds its disks and its network names: firmware, machine type, disk
// buses, disk order, boot order, disk serial numbers, PCI addresses, MAC addresses (optionally),
// clock. Replaced: CPU model, networks, paths. Dropped, with a note: devices of the old host
// (passed-through devices, shared folders, CD-ROMs, …). A machine without a libvirt definition gets
// hardware that an unprepared guest can boot on: disk controllers that every system has a driver
// for, firmware chosen by the partition table. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/disk_inspection.h"
#include "appliance/boot/machine/uefi_boot_entry.h"
#include "appliance/boot/model/instant_vm.h"
#include "images/point.h"

namespace appliance::boot {

// Attributes of an XML element, in order: a place on a bus as the old host assigned it.
using Address = std::vector<std::pair<std::string, std::string>>;

struct GuestDisk {
  std::string name;    // in the point, and of the export
  std::string target;  // "vda": names the disk inside the domain
  DiskBus bus = DiskBus::ide;
  uint32_t boot_order = 0;  // 1 is first; 0: not to be booted from
  std::string serial;
  std::string wwn;
  uint32_t logical_block_size = 0;  // bytes; 0: the default
  uint32_t physical_block_size = 0;
  Address address;  // empty: anywhere
};

struct GuestCard {
  std::string mac;
  std::string model;
  NetworkMode mode = NetworkMode::isolated;
  std::string source;  // the bridge; filled in for libvirt networks when the domain is written
  Address address;
};

struct PlannedController {
  std::string type;  // "pci", "scsi", "sata", "usb", "virtio-serial"
  std::string index;
  std::string model;
  Address pci_target;  // chassis, port, …
  std::string pci_model_name;
  Address address;
};

struct MachinePlan {
  std::string uuid;
  std::string machine_type;  // as QEMU knows it: "pc-i440fx-7.2", "q35"
  bool is_q35 = false;
  images::Firmware firmware = images::Firmware::bios;
  bool secure_boot = false;
  base::Bytes uefi_variables;  // captured with the point; empty: the firmware's own defaults
  // For the firmware's defaults: what it would not find by itself.
  std::optional<UefiBootEntry> boot_entry;
  uint32_t cpu_count = 1;
  Address cpu_topology;      // empty: one socket with cpu_count cores
  uint64_t memory_size = 0;  // bytes
  // Of libvirt's <clock>: "offset", and what belongs to it ("timezone", "adjustment", …).
  Address clock{{"offset", "utc"}};
  // The texts of SMBIOS: block ("system"), name, text.
  std::vector<std::array<std::string, 3>> smbios_texts;
  std::vector<std::string> hyperv;  // Hyper-V enlightenments the definition had, by name
  bool is_windows = false;
  bool has_tablet = false;
  bool has_tpm = false;
  std::string tpm_model;        // "tpm-crb", "tpm-tis"; empty: the machine type's usual one
  bool tpm_is_readable = true;  // false: its captured state cannot be used here
  base::Bytes tpm_state;        // permanent state captured with the point; empty: a new TPM
  std::vector<PlannedController> controllers;
  std::vector<GuestDisk> disks;
  std::vector<GuestCard> cards;
  std::vector<std::string> notes;    // sentences
  std::vector<std::string> reasons;  // why it cannot be booted, sentences; empty: it can
};

// A random one, as for a new machine.
std::string fresh_uuid();

// Parses a definition into the form described in xml_tree.h; throws corrupt. It may add notes to
// the plan.
using XmlPacker = std::function<base::Bytes(std::string_view xml, MachinePlan& plan)>;
// In this process.
base::Bytes pack_xml_here(std::string_view xml, MachinePlan& plan);
// Without privileges; in this process, with a note, only if that is impossible: in a disaster the
// VM must start.
base::Bytes pack_xml_without_rights(std::string_view xml, MachinePlan& plan);

// `inspection` describes the point's first disk (or the first with an EFI system partition). Throws
// corrupt if the definition is not XML; everything else that is wrong is in `reasons`.
MachinePlan plan_machine(const images::Point& point, const DiskInspection& inspection,
                         const BootOptions& options, const HypervisorFacts& facts,
                         const XmlPacker& packer = pack_xml_here);

}  // namespace appliance::boot
