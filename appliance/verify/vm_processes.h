// The processes that work for one VM: QEMU, its export, and what they start; found by the VM's id in
// their arguments. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "appliance/boot/model/instant_vm.h"

namespace appliance::verify {

class VmProcesses {
 public:
  explicit VmProcesses(const boot::BootId& id) : id_(id.hex()) {}

  // Gives all of them a low priority. The kernel compares nice values only within a session if it
  // groups tasks by session.
  void lower_priority();

  // How long a thread of theirs was ready to run, and waited for a processor, since begin_waiting(),
  // in ms: of the one that waited longest. From the kernel's account
  // (/proc/PID/task/TID/schedstat), read once a second.
  uint64_t waited_ms();
  void begin_waiting();

 private:
  void find();
  std::map<pid_t, uint64_t> read_waits() const;  // ns of each thread, since it exists

  const std::string id_;
  std::vector<pid_t> processes_;
  std::chrono::steady_clock::time_point found_{}, read_{};
  std::map<pid_t, uint64_t> begin_;
  uint64_t waited_ms_ = 0;
};

}  // namespace appliance::verify
