// A machine's definition of another host, made into one for this host. It was written by whoever
// defined the machine there, and libvirt obeys a definition as root: so nothing of it is taken over
// except what is listed here, everything that names files or devices of the host is replaced or left
// out, and each of that becomes a note. Pure, except that firmware files are looked for; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace agent::homeward {

struct PlacedDisk {
  std::string path;    // absolute
  std::string format;  // as QEMU calls it
  bool is_device = false;
};

// What this host has.
struct HostView {
  std::set<std::string> networks;  // libvirt's
  std::set<std::string> bridges;   // of the kernel
  std::set<std::string> names;     // of domains
  std::set<std::string> uuids;     // of domains
  std::vector<std::string> firmware_folders{"/usr/share/OVMF", "/usr/share/AAVMF"};
};

struct DefinitionWishes {
  std::string name;                         // empty: as it was called
  std::map<std::string, PlacedDisk> disks;  // by their names in the guest: "vda"
  // Of the definition ("default", "bridge br0") to a network of libvirt's here.
  std::map<std::string, std::string> networks;
  std::string nvram_path;      // where UEFI variables are put
  uint64_t nvram_size = 0;     // bytes of the variables in the point; 0: none
  bool has_tpm_state = false;  // in the point
};

struct Definition {
  std::string xml;
  std::string name;
  std::string uuid;
  bool uses_nvram = false;         // variables are to be put in place before the start
  bool uses_tpm = false;           // the same for the emulated TPM's state
  std::vector<std::string> notes;  // sentences: what was changed
};

// `xml`: at most 1 MiB, anything. Parsed without rights (base/xml). Throws corrupt (not a domain),
// already_exists (a domain of that name is here), not_found (a network, or a firmware, that this host
// lacks, with what it has), unsupported (a kind of machine that cannot be moved).
Definition adapt_definition(std::string_view xml, const DefinitionWishes& wishes,
                            const HostView& host);

}  // namespace agent::homeward
