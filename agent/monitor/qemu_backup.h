// A backup of a QEMU's disks, begun through its monitor by this program alone: for hosts where no
// libvirt does it. A job per disk saves each block to a scratch file before the guest overwrites it;
// the scratch file on top of the disk is then the disk of the instant at which the jobs began. See
// QEMU's docs/interop/live-block-operations.rst, "image fleecing".
//
// Everything it makes in QEMU has a name that begins with kOwnName, by which end_backup() finds it,
// whoever made it. Functions throw as Monitor::execute().
#pragma once

#include <string>
#include <vector>

#include "agent/monitor/monitor.h"

namespace agent::monitor {

constexpr char kOwnName[] = "muletto-";

struct BackupDisk {
  std::string name;
  std::string node;
  std::string scratch_path;
};

// The node of a disk's instant, and the name of its export.
std::string instant_node(const std::string& disk);

// Throws busy, in a sentence, if something is under way that a backup would disturb: a block job,
// a migration.
void check_idle(Monitor& monitor, const std::string& machine_name);

// Opens the scratch file on top of the disk.
void add_scratch(Monitor& monitor, const BackupDisk& disk);

// Starts QEMU's one NBD server. Throws busy if another program has done so.
void start_server(Monitor& monitor, const std::string& socket_path);

// The instant, in one transaction for all disks.
void begin_backup(Monitor& monitor, const std::vector<BackupDisk>& disks);

// Ends the jobs, the server if `ends_server` and nobody else offers anything at it, and closes the
// scratch files. No error if there are none.
void end_backup(Monitor& monitor, bool ends_server);

}  // namespace agent::monitor
