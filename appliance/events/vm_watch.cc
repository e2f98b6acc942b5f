#include "appliance/events/vm_watch.h"

#include <utility>

namespace appliance::events {
namespace {

constexpr std::chrono::milliseconds kWhenFollowed{900};
constexpr std::chrono::seconds kOtherwise{10};

Event event_of(EventKind kind, const boot::InstantVm& vm) {
  return {.event = kind,
          .tenant = vm.tenant,
          .kind = std::string(boot::purpose_name(vm.purpose)),
          .subject = vm.machine_name,
          .id = vm.id.hex(),
          .state = std::string(boot::vm_state_name(vm.state)),
          .message = vm.problem};
}

}  // namespace

bool VmWatch::is_due() const {
  if (!last_look_) return true;
  auto since = Clock::now() - *last_look_;
  return log_.is_followed() ? since >= kWhenFollowed : since >= kOtherwise;
}

void VmWatch::look(const std::vector<boot::InstantVm>& vms) {
  std::map<boot::BootId, boot::InstantVm> up, others;
  for (const boot::InstantVm& vm : vms) {
    // QEMU is paused for a moment when a VM starts: that is not the beginning yet.
    bool is_up = vm.state == boot::VmState::running ||
                 (vm.state == boot::VmState::paused && (!last_look_ || up_.contains(vm.id)));
    (is_up ? up : others).emplace(vm.id, vm);
  }
  if (last_look_) {
    for (const auto& [id, before] : up_) {
      if (up.contains(id)) continue;
      auto now = others.find(id);
      boot::InstantVm gone = before;
      gone.state = boot::VmState::ended;
      log_.add(event_of(EventKind::boot_ended, now == others.end() ? gone : now->second));
    }
    for (const auto& [id, vm] : up) {
      if (!up_.contains(id)) log_.add(event_of(EventKind::boot_begun, vm));
    }
  }
  up_ = std::move(up);
  last_look_ = Clock::now();
}

}  // namespace appliance::events
