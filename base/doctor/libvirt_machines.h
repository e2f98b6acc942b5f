// What libvirt's own command says, for checks: without libvirt's library, so that a libvirt that hangs
// or is broken cannot take the program with it. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/doctor/finding.h"

namespace base::doctor {

// Whether it answers, and with which versions.
Finding look_at_libvirt(const std::string& uri);

struct LibvirtMachine {
  std::string name;
  bool is_running = false;
  std::vector<std::string> disks;  // paths of files and devices that exist here
};

// At most 1000 machines. Throws unavailable, io if libvirt does not answer; not_found without virsh.
std::vector<LibvirtMachine> libvirt_machines(const std::string& uri);
// The paths in what `virsh domblklist` prints.
std::vector<std::string> paths_of_block_list(std::string_view answer);

// The guest agent of each running machine: whether it answers, and its version. A machine whose name
// begins with one of `passed_over` is left out.
std::vector<Finding> look_at_guest_agents(const std::string& uri,
                                          const std::vector<std::string>& passed_over);

}  // namespace base::doctor
