// What runs virtual machines, as far as the boot service needs it. Implementations: libvirt
// (libvirt/libvirt_hypervisor.h) and, in tests, one in memory (not thread-safe).
// tests/appliance/boot/host/hypervisor_contract.cc runs on both. Thread-safe. Errors: unavailable if
// the hypervisor does not answer, not_found for a missing domain or network.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "appliance/boot/host/bridges.h"
#include "appliance/boot/host/domains.h"
#include "appliance/boot/host/networks.h"

namespace appliance::boot {

// A network card of a running domain.
struct CardInUse {
  std::string domain_name;
  std::string mac;
  std::string source;  // the bridge or libvirt network
};

struct UefiFirmware {
  std::string code_path;
  std::string variables_path;   // the template of a new machine's variables
  uint64_t variables_size = 0;  // bytes; saved variables fit only a firmware with the same
  bool secure_boot = false;
};

struct HypervisorFacts {
  std::string version;  // for people: "libvirt 9.0.0, QEMU 7.2.0"
  uint32_t cpu_count = 0;
  uint64_t memory_size = 0;                  // bytes
  uint64_t memory_available = 0;             // bytes, now
  std::vector<UefiFirmware> uefi_firmwares;  // best first
  bool has_tpm = false;                      // TPM emulation
  std::set<std::string> machine_types;       // "pc-i440fx-7.2", "pc", "q35", …
  std::vector<std::string> domain_uuids;     // of all that are defined or running
  std::vector<CardInUse> cards_in_use;       // of all running domains, whoever started them
};

// The user and group of QEMU: files it must open are given to them.
struct QemuUser {
  uid_t user = 0;
  gid_t group = 0;
};

class Hypervisor : public Domains, public Networks {
 public:
  virtual HypervisorFacts facts() = 0;
  virtual QemuUser qemu_user() = 0;
  // Of the machine that the VMs run on; null if that is another machine, whose bridges cannot be
  // looked at. Lives as long as this object.
  virtual Bridges* bridges() = 0;
};

}  // namespace appliance::boot
