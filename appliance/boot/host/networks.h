// The networks that a hypervisor makes for instant VMs: isolated ones, and NAT. Thread-safe.
// Errors: unavailable if the hypervisor does not answer.
#pragma once

#include <string>

#include "appliance/boot/model/instant_vm.h"

namespace appliance::boot {

// A libvirt network that we create.
struct NetworkPlan {
  std::string name;
  NetworkMode mode = NetworkMode::isolated;  // isolated or nat
};

class Networks {
 public:
  virtual ~Networks() = default;

  virtual bool has_network(const std::string& name) = 0;
  // Creates the network, with addresses by DHCP, on an unused subnet; no error if it exists.
  virtual void ensure_network(const NetworkPlan& plan) = 0;
  // Restores what keeps VMs of isolated networks away from this machine, if something removed it;
  // returns whether that was so. Throws unavailable if it cannot.
  virtual bool keep_isolation() = 0;
  // Removes a network of ours; no error if it does not exist.
  virtual void remove_network(const std::string& name) = 0;
  // The bridge of a network that ensure_network() made; empty if there is none.
  virtual std::string bridge_of(const std::string& network) = 0;
};

}  // namespace appliance::boot
