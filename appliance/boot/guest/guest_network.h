// A place inside a network of instant VMs, from which its guests are probed.
//
// A guest says which address it has, and may be wrong or lie: a copy with the static address
// 10.0.0.5 runs beside the original that has it. Over this machine's own routes the original would
// answer for the copy. So guests of isolated and NAT networks are probed from a network namespace
// that has one interface: the end of a veth pair whose other end is on the network's bridge. It has
// no default route. An address counts if the guest's own card, known by its MAC address, answers
// ARP for it there. It is then routed on-link, with the card's MAC address fixed, and given a
// sender address of the guest's own subnet that nothing else there has, so that a guest with any
// static address can answer. The pair is removed with this object. The namespace has no name: it
// ends with its last user, also when this process is killed, and takes both ends of the pair with
// it; a connection that its guest never closed is such a user, for a few seconds.
//
// On a bridge of the client's own network nothing is added: there the address counts if the card
// answers ARP for it on that bridge, and is probed only through the bridge, never by a router.
//
// Addresses are IPv4. Needs root and the program `ip`. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "appliance/boot/guest/probe.h"
#include "appliance/boot/host/arp.h"
#include "appliance/boot/host/hypervisor.h"
#include "base/unique_fd.h"

namespace appliance::boot {

enum class NetworkPlace {
  inside,  // a namespace of its own on the bridge
  bridge,  // the bridge itself, of the client's network
};

class GuestNetwork {
 public:
  // Throws unavailable if the bridge does not exist or nothing can be attached to it.
  GuestNetwork(std::string bridge, NetworkPlace place);
  ~GuestNetwork();
  GuestNetwork(const GuestNetwork&) = delete;
  GuestNetwork& operator=(const GuestNetwork&) = delete;

  const std::string& bridge() const { return bridge_; }

  // Those of the claimed addresses, and of the ones that the card was heard to use, that the card
  // answers for; leases first. Waits up to a quarter of a second for each new address, and for all
  // silent ones together. At most kMaxAddresses of a card are examined.
  std::vector<std::string> answering(const MacAddress& card,
                                     const std::vector<AddressClaim>& claims);

  // A socket that reaches this network and no other, for an address that answering() returned.
  base::UniqueFd open_socket();

  // Runs `action`, which may start processes, where only this network can be reached; on the
  // client's bridge: where the caller is. Returns after it, passing on its exceptions.
  void inside(const std::function<void()>& action);

  static constexpr size_t kMaxAddresses = 8;

 private:
  struct Candidate {
    Ipv4 address = 0;
    uint32_t prefix = 24;
    bool is_lease = false;
  };
  void open_ear(const std::string& device);
  void say(const base::Bytes& frame);
  void listen();
  std::vector<Candidate> candidates_of(const MacAddress& card,
                                       const std::vector<AddressClaim>& claims);
  bool has_answered(Ipv4 address, const MacAddress& card) const;
  // Whether any station answers for it in time.
  bool is_taken(Ipv4 address);
  Ipv4 free_neighbour(const Candidate& candidate, const std::set<Ipv4>& claimed);
  void route(const Candidate& candidate, const MacAddress& card, const std::set<Ipv4>& claimed);

  const std::string bridge_;
  const NetworkPlace place_;
  base::UniqueFd namespace_;  // none on a bridge
  std::string outside_;       // the end on the bridge
  base::UniqueFd ear_;        // a packet socket on `device_`, in the namespace
  int device_index_ = 0;
  MacAddress own_{};
  std::mutex mutex_;  // protects everything below; held while listening to the network
  std::map<Ipv4, std::set<MacAddress>> answered_;       // ARP heard since the last round
  std::map<MacAddress, std::vector<Ipv4>> used_;        // addresses that stations were heard to use
  std::map<Ipv4, std::pair<MacAddress, Ipv4>> routed_;  // to which card, and our address for it
};

// The places in use, one per bridge. Thread-safe.
class GuestNetworks {
 public:
  std::shared_ptr<GuestNetwork> on(const std::string& bridge, NetworkPlace place);
  // Drops those not used recently, and those whose bridge is gone.
  void sweep();

 private:
  struct Entry {
    std::shared_ptr<GuestNetwork> network;
    std::chrono::steady_clock::time_point used;
  };
  std::mutex mutex_;  // held while a place is created, so that there is one per bridge
  std::map<std::string, Entry> entries_;
};

}  // namespace appliance::boot
