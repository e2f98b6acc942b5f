// The XML that libvirt expects for a pull backup and its checkpoint (libvirt.org/formatbackup.html
// and formatcheckpoint.html). Pure functions.
#pragma once

#include <string>
#include <vector>

namespace agent::libvirt {

// The name under which every backup exports the bitmap of an incremental disk.
constexpr char kExportedBitmap[] = "changed";

struct BackupDisk {
  std::string name;
  bool captured = false;  // disks that are not must be listed too, or libvirt would back them up
  std::string scratch_path;
  std::string since;     // the checkpoint an incremental backup starts from; empty: a full one
  bool tracked = false;  // the new checkpoint gets a bitmap for it
};

std::string backup_xml(const std::string& socket_path, const std::vector<BackupDisk>& disks);
std::string checkpoint_xml(const std::string& name, const std::vector<BackupDisk>& disks);

}  // namespace agent::libvirt
