// The thread that looks after instant VMs: takes up those that outlived the last daemon, then every
// second lets the boot service tend them. libvirt may be down at any time: the keeper says so once,
// and goes on when it is back.
#pragma once

#include <functional>
#include <string>

#include "appliance/boot/boot_service.h"
#include "base/guarded_thread.h"
#include "base/repeated_log.h"

namespace appliance::daemon {

class VmKeeper {
 public:
  // Starts the thread; the destructor ends it. `boots` outlives the keeper. `go_on_pulling` is
  // called on it for each VM whose move onto local storage the last daemon has left unfinished.
  VmKeeper(boot::BootService& boots, std::function<void(const boot::InstantVm&)> go_on_pulling);

 private:
  void run(const std::stop_token& stop);
  bool adopt();  // false: not possible now

  boot::BootService& boots_;
  const std::function<void(const boot::InstantVm&)> go_on_pulling_;
  // Used by the thread alone.
  bool adopted_ = false;
  base::RepeatedLog log_;
  base::GuardedThread thread_;
};

}  // namespace appliance::daemon
