// A machine whose QEMU is reached by its monitor socket, on hosts without libvirt, and what an
// interrupted sync may leave in it. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/monitor/monitor.h"
#include "agent/sync_guard.h"
#include "agent/sync_place.h"

namespace agent::monitor {

struct MonitoredMachine {
  std::string socket;       // of QEMU's monitor
  std::string guest_agent;  // of the guest agent; empty: there is none
  std::string definition;   // a file: Proxmox VE's configuration, or libvirt's XML; empty: none
  std::string tpm_state{};  // the file or volume that swtpm keeps its TPM in; empty: not captured
};

// The words for SyncGuard, and the machine made from them.
std::vector<std::string> guard_words(const MonitoredMachine& machine, const SyncPlace& place);
std::unique_ptr<GuardedMachine> guarded_machine(const std::vector<std::string>& words);

// Thaws the guest if it may be frozen, ends what a sync of this machine began in QEMU, removes its
// bitmaps except those of the last point, and the sync's folders. Attempts everything; throws the
// first failure at the end.
void remove_leftovers(const MonitoredMachine& machine, const SyncPlace& place, Monitor& monitor);

// Whether a QEMU listens at the socket. It is not asked anything.
bool is_running(const std::string& socket);

// For `muletto-agent forget`: all of the above and the bitmaps of the last point. What was removed,
// for people. A QEMU that is not there has nothing.
std::vector<std::string> forget_machine(const MonitoredMachine& machine, const SyncPlace& place);

}  // namespace agent::monitor
