// What else is on a network that a VM is about to join. Two machines with one identity there would
// take each other's traffic, and each other's clients: so the second one is refused. Pure
// functions.
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/instant_vm.h"

namespace appliance::boot {

// A VM whose cards are about to join their networks.
struct JoiningVm {
  std::string machine_name;
  access::TenantName tenant;
  std::string domain_name;  // its own domain, which is not a conflict; empty before the first start
  bool has_fresh_macs = false;  // it was made to run beside the original
  std::vector<VmNetworkCard> cards;
};

// The reasons against its start, as sentences that say what to do. `others` are the instant VMs
// that run or are being started; `in_use` the cards of every domain that runs here; `forwarding_entries`
// what the bridges have seen of the joining's MAC addresses.
std::vector<std::string> identity_conflicts(const JoiningVm& joining,
                                            const std::vector<InstantVm>& others,
                                            const std::vector<CardInUse>& in_use,
                                            const std::vector<ForwardingEntry>& forwarding_entries);

// The libvirt network of an isolated card: one for each tenant, and one more for each name.
// `base_name` is the default tenant's.
std::string isolated_network_name(const std::string& base_name, const access::TenantName& tenant,
                                  const std::string& name);

}  // namespace appliance::boot
