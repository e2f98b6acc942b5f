// The words libvirt wants for a pull backup and its checkpoint (libvirt.org/formatbackup.html and
// formatcheckpoint.html). Pure functions.
#pragma once

#include <string>
#include <vector>

namespace agent::libvirt {

// What every backup exports the bitmap of an incremental disk as.
constexpr char kExportedBitmap[] = "changed";

struct BackupDisk {
  std::string name;
  bool captured = false;  // the others are named too: libvirt would back up what is not
  std::string scratch_path;
  std::string since;     // the checkpoint an incremental backup starts from; empty: a full one
  bool tracked = false;  // the new checkpoint gets a bitmap of it
};

std::string backup_xml(const std::string& socket_path, const std::vector<BackupDisk>& disks);
std::string checkpoint_xml(const std::string& name, const std::vector<BackupDisk>& disks);

}  // namespace agent::libvirt
