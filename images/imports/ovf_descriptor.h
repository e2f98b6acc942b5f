// The descriptor of an OVF package (DMTF DSP0243) as VMware, VirtualBox and others write it, and
// its manifest. Pure functions, except that the XML is parsed by a process without rights; all of
// it is a stranger's.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "images/imports/foreign_machine.h"

namespace images {

struct OvfFile {
  std::string name;        // relative to the descriptor
  std::string format;      // "vmdk", "vhdx", "raw", …, as its disk states; empty: not stated
  uint64_t disk_size = 0;  // bytes, as its disk states; 0: not stated
};

struct OvfPackage {
  ForeignMachine machine;  // each disk's `file` is a name in `files`; empty: a disk without content
  std::vector<OvfFile> files;
};

// Throws corrupt for what is no descriptor; unsupported, by name, for several machines in one,
// compressed files, files in pieces, and disks that build on others; invalid_argument for a file's
// name that leads out of the package.
OvfPackage read_ovf(std::string_view xml, const std::string& path);

struct OvfChecksum {
  base::DigestKind kind = base::DigestKind::sha256;
  std::string value;  // lower-case hexadecimal
};

// Lines of "SHA256(NAME)= HEX". Throws corrupt for other lines, unsupported for another checksum.
std::map<std::string, OvfChecksum> read_manifest(std::string_view text, const std::string& path);

}  // namespace images
