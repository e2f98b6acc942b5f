// Where the guest of an instant VM really is: its reported addresses, tried from inside its
// networks (guest_network.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "appliance/boot/guest/guest_network.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/instant_vm.h"

namespace appliance::boot {

// One address at which the guest's own card answers. Values; the network lives as long as one of
// them.
struct FoundGuest {
  std::string address;  // IPv4, dotted decimals
  std::shared_ptr<GuestNetwork> network;

  std::vector<ServiceAnswer> ask(const std::vector<Service>& services,
                                 std::chrono::milliseconds timeout) const {
    return ask_all(address, services, timeout, [this] { return network->open_socket(); });
  }
  // Does not wait. Throws as Asker::ask().
  std::future<ServiceAnswer> ask(Asker& asker, const Service& service,
                                 std::chrono::milliseconds timeout) const {
    return asker.ask(address, service, timeout, [this] { return network->open_socket(); });
  }
};

struct GuestSearch {
  std::vector<FoundGuest> found;  // leased addresses first
  // If none was found: what was claimed, and is not answered for inside the VM's networks.
  std::vector<std::string> silent;
  std::string obstacle;  // why a network could not be examined; may be empty
};

// Takes up to half a second for each of the VM's networks, and two more if the guest's agent has to
// be asked and is silent. Throws what the hypervisor throws.
GuestSearch search_guest(const InstantVm& vm, Hypervisor& hypervisor, GuestNetworks& networks);

}  // namespace appliance::boot
