// A machine as another hypervisor's export describes it, and the definition that it gets here. All
// text in it comes from outside. Values and pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "images/point.h"

namespace images {

enum class ForeignBus { virtio, scsi, sata, ide };

struct ForeignDisk {
  // Which file of the export has its content: a path, an archive's member, or a device's name.
  std::string file;
  std::string label;  // as the export calls it, for messages: "scsi0:1"
  ForeignBus bus = ForeignBus::sata;
  // Of SCSI, as libvirt calls it: "vmpvscsi", "lsisas1068", "lsilogic", "virtio-scsi"; empty: not
  // one that can be had here, the disk goes to SATA.
  std::string controller_model;
  uint32_t controller = 0;  // the number of its bus
  uint32_t unit = 0;        // its place on it
  uint32_t boot_order = 0;  // 1 is first; 0: after all that have one, as they come
};

struct ForeignCard {
  std::string mac;      // may be empty
  std::string model;    // as libvirt calls it; empty: the appliance chooses
  std::string network;  // for people
};

struct ForeignMachine {
  std::string name;  // may be empty
  std::string uuid;  // 32 hexadecimal digits with or without separators; may be empty
  Firmware firmware = Firmware::unknown;
  bool secure_boot = false;
  bool is_q35 = false;
  bool is_windows = false;  // its clock shows local time
  uint32_t cpu_count = 0;   // 0: the export does not say
  uint32_t cores_per_socket = 0;
  uint64_t memory_size = 0;        // bytes
  std::vector<ForeignDisk> disks;  // in the order in which its firmware counts them
  std::vector<ForeignCard> cards;
  std::vector<std::pair<std::string, base::Bytes>> state_files;  // as in MachineDefinition
  std::vector<std::string> missing;  // what people keep data on and is not in the point
  std::vector<std::string> notes;
};

constexpr size_t kMaxForeignDisks = 64;  // as many as a point may have
constexpr size_t kMaxForeignCards = 64;

struct ForeignDefinition {
  MachineDefinition definition;
  std::vector<std::string> disk_names;  // "sda", …, one for each disk of the machine, in order
  std::vector<std::string> notes;       // the machine's, and what was changed
};

// The definition as a libvirt domain: firmware, CPUs, memory, cards with their addresses, disks in
// their order on their bus. Throws invalid_argument for more disks than a point can have.
ForeignDefinition definition_of(const ForeignMachine& machine);

}  // namespace images
