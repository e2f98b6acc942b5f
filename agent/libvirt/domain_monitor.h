// QEMU's monitor as libvirt passes it on. libvirt marks the domain as tainted ("custom-monitor"),
// which changes nothing but a line in its log and `virsh dominfo`.
#pragma once

#include "agent/libvirt/domain.h"
#include "agent/monitor/monitor.h"

namespace agent::libvirt {

class DomainMonitor : public monitor::Monitor {
 public:
  explicit DomainMonitor(const Domain& domain) : domain_(domain) {}
  using monitor::Monitor::execute;
  nlohmann::json execute(const std::string& command, const nlohmann::json& arguments) override {
    return monitor::result_of(domain_.monitor_command(monitor::command_text(command, arguments)),
                              command);
  }

 private:
  Domain domain_;
};

}  // namespace agent::libvirt
