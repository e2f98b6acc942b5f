// What can be observed of a running guest from outside, beyond its screen and its disks' exports:
// its agent, how much it reads and writes, whether it restarts itself. Implementation: libvirt
// (libvirt/libvirt_guest_watch.h). Thread-safe. Errors: unavailable if the hypervisor does not
// answer, not_found for a missing domain.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace appliance::boot {

struct DiskCounters {
  uint64_t read_size = 0;  // bytes since the start, all disks
  uint64_t written_size = 0;
};

// Restarts by the guest since the first query, counted from the hypervisor's events.
struct Reboots {
  uint32_t count = 0;
  std::chrono::steady_clock::time_point last_began{};  // of the last one
  // How often the hypervisor was unavailable and came back: restarts in between were not seen.
  uint32_t gap_count = 0;
};

class GuestWatch {
 public:
  virtual ~GuestWatch() = default;

  // Sends one command (JSON) to the guest agent. Nothing if no agent answers within `timeout`.
  virtual std::optional<std::string> ask_agent(const std::string& domain_name,
                                               const std::string& command,
                                               std::chrono::seconds timeout) = 0;
  virtual DiskCounters disk_counters(const std::string& domain_name) = 0;
  virtual Reboots reboots(const std::string& domain_name) = 0;
  // Presses and releases the left Shift key: it wakes a screen, and types nothing. Throws io if the
  // hypervisor refuses.
  virtual void press_shift(const std::string& domain_name) = 0;
  // Lowers it to a tenth of the processor time that others get, if control groups share it out. No
  // error if it does not exist.
  virtual void lower_cpu_share(const std::string& domain_name) = 0;
  virtual void forget(const std::string& domain_name) = 0;
  virtual void remove_network(const std::string& name) = 0;  // no error if it does not exist
};

}  // namespace appliance::boot
