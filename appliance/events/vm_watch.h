// Makes events of what changes between two looks at the instant VMs. A VM can end in many ways (its
// guest powers off, QEMU is killed, a person stops it), which only have in common that it no longer
// runs. Used by one thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "appliance/boot/model/instant_vm.h"
#include "appliance/events/event_log.h"

namespace appliance::events {

class VmWatch {
 public:
  explicit VmWatch(EventLog& log) : log_(log) {}  // outlives it

  // Looking costs calls to libvirt for each VM: once a second while somebody follows, otherwise
  // every ten seconds.
  bool is_due() const;

  // `vms`: all of them. The first call only remembers them. A VM that began and ended between two
  // looks leaves no event; the jobs that started and stopped it do.
  void look(const std::vector<boot::InstantVm>& vms);

 private:
  using Clock = std::chrono::steady_clock;
  EventLog& log_;
  std::optional<Clock::time_point> last_look_;
  std::map<boot::BootId, boot::InstantVm> up_;  // those that ran at the last look
};

}  // namespace appliance::events
