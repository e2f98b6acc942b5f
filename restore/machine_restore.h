// Writes a whole machine of a point: its disks, the state kept outside them, and its definition as
// libvirt's XML, adapted to where the disks are now. Functions; thread-safe as restore_disk().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "images/point.h"
#include "restore/host_definition.h"
#include "restore/restore_disk.h"

namespace restore {

struct MachineRestore {
  DiskRestore common;                          // without point, machine, disk and target
  std::string directory;                       // made if it does not exist
  std::vector<std::string> disks;              // names; empty: all
  std::map<std::string, std::string> targets;  // disk → where it is written instead
};

// What is restored around the disks, and where.
struct MachineFiles {
  std::string xml_path, nvram_path;  // empty: there is none
  std::vector<std::string> paths;
  HostDefinition definition;
};

struct MachineResult {
  MachineFiles files;  // empty after a survey
  std::vector<DiskRestore> disks;
  std::vector<DiskResult> results;  // of each disk
};

// Writes one disk (restore_disk()), and shows its progress.
using WriteDisk = std::function<DiskResult(const DiskRestore&)>;

// All targets are checked before anything is written. Throws as restore_disk(); not_found for a
// disk that the point does not have.
MachineResult restore_machine(images::StoreReader& store, const images::Point& point,
                              const MachineRestore& order, const WriteDisk& write);

}  // namespace restore
