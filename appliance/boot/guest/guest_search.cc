#include "appliance/boot/guest/guest_search.h"

#include "base/error.h"

namespace appliance::boot {
namespace {

constexpr size_t kMaxSilent = 8;  // that are named in messages

void look_for(const InstantVm& vm, const std::vector<AddressClaim>& claims, Hypervisor& hypervisor,
              GuestNetworks& networks, GuestSearch& search) {
  for (const VmNetworkCard& card : vm.network_cards) {
    auto mac = parse_mac(card.mac);
    if (card.mode == NetworkMode::none || !mac) continue;
    bool is_bridge = card.mode == NetworkMode::bridge;
    std::string bridge = is_bridge ? card.source : hypervisor.bridge_of(card.source);
    try {
      auto network = networks.on(bridge, is_bridge ? NetworkPlace::bridge : NetworkPlace::inside);
      for (std::string& address : network->answering(*mac, claims))
        search.found.push_back({std::move(address), network});
    } catch (const base::Error& error) {
      search.obstacle = error.message();
    }
  }
}

void name_silent(const std::vector<AddressClaim>& claims, GuestSearch& search) {
  for (const AddressClaim& claim : claims) {
    auto address = parse_station_ipv4(claim.address);
    if (address && search.silent.size() < kMaxSilent)
      search.silent.push_back(format_ipv4(*address));
  }
}

}  // namespace

// The agent is asked only if no leased address answers: a silent one costs seconds.
GuestSearch search_guest(const InstantVm& vm, Hypervisor& hypervisor, GuestNetworks& networks) {
  GuestSearch search;
  for (ClaimSource source : {ClaimSource::leases, ClaimSource::agent}) {
    std::vector<AddressClaim> claims = hypervisor.address_claims(vm.domain_name, source);
    look_for(vm, claims, hypervisor, networks, search);
    if (!search.found.empty()) return search;
    name_silent(claims, search);
  }
  return search;
}

}  // namespace appliance::boot
