// The networks that a hypervisor makes for instant VMs: isolated ones, and NAT. Thread-safe.
// Errors: unavailable if the hypervisor does not answer.
#pragma once

#include <string>

#include "appliance/boot/model/instant_vm.h"

namespace appliance::boot {

// A libvirt network that is ours to make.
struct NetworkPlan {
  std::string name;
  NetworkMode mode = NetworkMode::isolated;  // isolated or nat
};

class Networks {
 public:
  virtual ~Networks() = default;

  virtual bool has_network(const std::string& name) = 0;
  // Makes the network, with addresses by DHCP, on a subnet nobody here uses; no error if it is
  // there.
  virtual void ensure_network(const NetworkPlan& plan) = 0;
  // Puts back what keeps VMs of isolated networks away from this machine, if somebody took it away;
  // whether that was so. Throws unavailable if it cannot.
  virtual bool keep_isolation() = 0;
  // Takes a network of ours away; no error if it is not there.
  virtual void remove_network(const std::string& name) = 0;
  // The bridge of a network that ensure_network() made; empty if there is none.
  virtual std::string bridge_of(const std::string& network) = 0;
};

}  // namespace appliance::boot
