// What the agent must know about a libvirt domain, read from its XML. Pure; thread-safe. The XML
// comes from libvirt, but its content from whoever defined the domain: names are checked here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "images/point.h"

namespace agent {

struct DomainDisk {
  std::string name;    // the target: "vda"
  std::string format;  // of the top image: "qcow2", "raw"
  std::string path;    // of a file or block device; empty for others (network, volume)
  std::string kind;    // libvirt's: "file", "block", "network", "volume"
  // Of a volume: libvirt knows its path (libvirt/domain.h, volume_path()).
  std::string pool{}, volume{};
  // The files that the definition itself says it is built on.
  std::vector<std::string> base_paths{};
  std::string alias{};  // the device's id in QEMU; only of a running domain
};

struct DomainFacts {
  std::vector<DomainDisk> disks;      // those a machine keeps its data on
  std::vector<std::string> left_out;  // "sda: a CD-ROM": disks that are never captured, and why
  // Beyond CD-ROMs and floppies: "vdb (read-only)", for the point's note; also what the definition
  // hides from libvirt.
  std::vector<std::string> unprotected;
  bool has_uefi_variables = false;
  std::string nvram_path;              // UEFI variables; empty: not stated
  bool has_tpm = false;                // emulated, with state on this host
  bool guest_agent_connected = false;  // known only from the XML of a running domain
  std::string owner_label;             // QEMU's user and group, "+64055:+64055"; empty if not told
};

// Throws corrupt if it is not a domain's XML, invalid_argument for invalid names.
DomainFacts domain_facts(std::string_view xml);

// The definition kept with a point, without state_files. `inactive_xml` is stored as it is.
images::MachineDefinition machine_definition(const std::string& inactive_xml);

}  // namespace agent
