// The thread that manages instant VMs: it adopts those that outlived the last daemon, then lets the
// boot service tend them every second. libvirt may be down at any time: the keeper logs it once,
// and continues when it is back.
#pragma once

#include <functional>
#include <string>

#include "appliance/boot/boot_service.h"
#include "base/guarded_thread.h"
#include "base/repeated_log.h"

namespace appliance::daemon {

class VmKeeper {
 public:
  // Starts the thread; the destructor ends it. `boots` must outlive the keeper. `go_on_pulling` is
  // called on it for each VM whose move to local storage the last daemon left unfinished;
  // `after_round` each time that the VMs were tended.
  VmKeeper(boot::BootService& boots, std::function<void(const boot::InstantVm&)> go_on_pulling,
           std::function<void()> after_round);

 private:
  void run(const std::stop_token& stop);
  bool adopt();  // false: not possible now

  boot::BootService& boots_;
  const std::function<void(const boot::InstantVm&)> go_on_pulling_;
  const std::function<void()> after_round_;
  // Used only by the thread.
  bool adopted_ = false;
  base::RepeatedLog log_;
  base::GuardedThread thread_;
};

}  // namespace appliance::daemon
