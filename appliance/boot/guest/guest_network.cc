#include "appliance/boot/guest/guest_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <thread>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr char kInsideDevice[] = "probe0";
constexpr std::chrono::seconds kIpTimeout{10};
constexpr std::chrono::milliseconds kAnswerWait{250};
constexpr std::chrono::milliseconds kTakenWait{100};
constexpr std::chrono::seconds kIdle{30};
constexpr size_t kFramesAtOnce = 1024;  // a flood must not occupy the listener forever
constexpr size_t kMaxStations = 64;     // whose addresses are remembered
constexpr size_t kMaxUsed = 4;          // addresses remembered per station
constexpr size_t kMaxRouted = 64;
constexpr size_t kNeighboursTried = 8;

// In a thread of its own: changes to its namespaces end with it.
void in_thread(const std::function<void()>& action) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      action();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void ip(const std::vector<std::string>& words) {
  std::vector<std::string> command{"ip"};
  command.insert(command.end(), words.begin(), words.end());
  base::run_checked(command, kIpTimeout);
}

// IPv6 is not used here, and our interface must not send anything by itself.
void silence_ipv6(const std::string& device) {
  std::ofstream("/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6") << "1";
}

// A connection that was closed here while its guest was gone keeps the namespace for as long as the
// kernel retransmits its last bytes: 100 s by default.
void shorten_retransmission() { std::ofstream("/proc/sys/net/ipv4/tcp_orphan_retries") << "1"; }

uint32_t mask_of(uint32_t prefix) { return prefix == 0 ? 0 : ~0u << (32 - prefix); }

}  // namespace

GuestNetwork::GuestNetwork(std::string bridge, NetworkPlace place)
    : bridge_(std::move(bridge)), place_(place) {
  if (::if_nametoindex(bridge_.c_str()) == 0)
    throw Error(ErrorCode::unavailable, fmt::format("the bridge {} does not exist", bridge_));
  if (place_ == NetworkPlace::bridge) {
    open_ear(bridge_);
    return;
  }
  outside_ = "mulv" + base::to_hex(base::random_array<4>());
  pid_t here = ::gettid();  // alive, and in this machine's own namespace, until this returns
  in_thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) throw base::system_error(errno, "no network namespace");
    namespace_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!namespace_) throw base::system_error(errno, "no network namespace");
    silence_ipv6("all");
    silence_ipv6("default");
    shorten_retransmission();
    ip({"link", "add", kInsideDevice, "type", "veth", "peer", "name", outside_, "netns",
        std::to_string(here)});
    ip({"link", "set", kInsideDevice, "up"});
    open_ear(kInsideDevice);
  });
  silence_ipv6(outside_);
  ip({"link", "set", outside_, "master", bridge_, "up"});
}

GuestNetwork::~GuestNetwork() {
  if (outside_.empty()) return;
  ear_.reset();
  namespace_.reset();
  try {
    if (::if_nametoindex(outside_.c_str()) != 0) ip({"link", "delete", outside_});
  } catch (const std::exception& error) {
    // It may have gone with its namespace meanwhile.
    if (::if_nametoindex(outside_.c_str()) != 0)
      base::log().warn("{} is left on {}: {}", outside_, bridge_, error.what());
  }
}

void GuestNetwork::open_ear(const std::string& device) {
  // A client's bridge has much traffic; a test network has only what the guest sends.
  uint16_t protocol = htons(place_ == NetworkPlace::bridge ? ETH_P_ARP : ETH_P_ALL);
  ear_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  ifreq request{};
  std::memcpy(request.ifr_name, device.data(), std::min<size_t>(device.size(), IFNAMSIZ - 1));
  device_index_ = static_cast<int>(::if_nametoindex(device.c_str()));
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_protocol = protocol;
  place.sll_ifindex = device_index_;
  if (!ear_ || device_index_ == 0 || ::ioctl(ear_.get(), SIOCGIFHWADDR, &request) != 0 ||
      ::bind(ear_.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
    throw base::system_error(errno, "cannot listen on " + device);
  std::memcpy(own_.data(), request.ifr_hwaddr.sa_data, own_.size());
}

void GuestNetwork::inside(const std::function<void()>& action) {
  if (place_ == NetworkPlace::bridge) {
    action();
    return;
  }
  in_thread([&] {
    if (::setns(namespace_.get(), CLONE_NEWNET) != 0)
      throw base::system_error(errno, "cannot enter the network of " + bridge_);
    action();
  });
}

base::UniqueFd GuestNetwork::open_socket() {
  base::UniqueFd made;
  inside([&] { made.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)); });
  int on = 1;
  bool good = static_cast<bool>(made);
  if (good && place_ == NetworkPlace::bridge) {
    good = ::setsockopt(made.get(), SOL_SOCKET, SO_BINDTODEVICE, bridge_.c_str(),
                        static_cast<socklen_t>(bridge_.size())) == 0 &&
           ::setsockopt(made.get(), SOL_SOCKET, SO_DONTROUTE, &on, sizeof on) == 0;
  }
  if (!good) throw base::system_error(errno, "no socket for the network of " + bridge_);
  return made;
}

std::vector<std::string> GuestNetwork::answering(const MacAddress& card,
                                                 const std::vector<AddressClaim>& claims) {
  std::lock_guard<std::mutex> one_at_a_time(mutex_);
  listen();
  std::vector<Candidate> candidates = candidates_of(card, claims);
  std::set<Ipv4> claimed;
  for (const Candidate& each : candidates) claimed.insert(each.address);
  for (const Candidate& each : candidates) say(arp_question(own_, 0, each.address));
  auto deadline = Clock::now() + kAnswerWait;
  // On a bridge others may answer later for the same address, and then it does not count.
  auto is_complete = [&] {
    return place_ == NetworkPlace::inside &&
           std::all_of(candidates.begin(), candidates.end(),
                       [&](const Candidate& each) { return has_answered(each.address, card); });
  };
  while (!is_complete() && Clock::now() < deadline) {
    pollfd watched{ear_.get(), POLLIN, 0};
    ::poll(&watched, 1, 10);
    listen();
  }
  std::vector<Candidate> found;
  for (const Candidate& each : candidates) {
    if (has_answered(each.address, card)) found.push_back(each);
  }
  answered_.clear();  // a late answer from a busy guest counts in the next round
  std::vector<std::string> addresses;
  for (const Candidate& each : found) {
    if (place_ == NetworkPlace::inside) route(each, card, claimed);
    addresses.push_back(format_ipv4(each.address));
  }
  return addresses;
}

std::vector<GuestNetwork::Candidate> GuestNetwork::candidates_of(
    const MacAddress& card, const std::vector<AddressClaim>& claims) {
  std::vector<Candidate> candidates;
  auto add = [&](Candidate candidate) {
    bool known = std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& each) {
      return each.address == candidate.address;
    });
    if (!known && candidates.size() < kMaxAddresses) candidates.push_back(candidate);
  };
  for (bool lease : {true, false}) {
    for (const AddressClaim& claim : claims) {
      auto address = parse_station_ipv4(claim.address);
      if (claim.is_lease == lease && address && parse_mac(claim.mac) == card)
        add({*address, claim.prefix, lease});
    }
  }
  for (Ipv4 address : used_[card]) add({address});
  return candidates;
}

// On a bridge, no one else may answer: two that answer for one address cannot be told apart later.
// Inside, only the card itself is probed.
bool GuestNetwork::has_answered(Ipv4 address, const MacAddress& card) const {
  auto known = answered_.find(address);
  return known != answered_.end() && known->second.contains(card) &&
         (place_ == NetworkPlace::inside || known->second.size() == 1);
}

void GuestNetwork::say(const base::Bytes& frame) {
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_ifindex = device_index_;
  if (::sendto(ear_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&place),
               sizeof place) < 0)
    base::log().debug("no station could be asked on {}: {}", bridge_, std::strerror(errno));
}

void GuestNetwork::listen() {
  std::array<uint8_t, 128> frame;
  for (size_t i = 0; i < kFramesAtOnce; ++i) {
    ssize_t size = ::recv(ear_.get(), frame.data(), frame.size(), 0);
    if (size <= 0) return;
    auto heard = hear(base::ByteView(frame.data(), static_cast<size_t>(size)));
    if (!heard || heard->station == own_) continue;
    if (heard->is_arp && answered_.size() < kFramesAtOnce)
      answered_[heard->address].insert(heard->station);
    if (used_.size() >= kMaxStations && !used_.contains(heard->station)) continue;
    std::vector<Ipv4>& used = used_[heard->station];
    if (std::find(used.begin(), used.end(), heard->address) != used.end()) continue;
    if (used.size() >= kMaxUsed) used.erase(used.begin());
    used.push_back(heard->address);
  }
}

bool GuestNetwork::is_taken(Ipv4 address) {
  answered_.erase(address);
  say(arp_question(own_, 0, address));
  for (auto deadline = Clock::now() + kTakenWait; Clock::now() < deadline;) {
    pollfd watched{ear_.get(), POLLIN, 0};
    ::poll(&watched, 1, 10);
    listen();
    if (answered_.contains(address)) return true;
  }
  return false;
}

// An address in the guest's subnet, near its end, that is neither claimed nor answered for.
Ipv4 GuestNetwork::free_neighbour(const Candidate& candidate, const std::set<Ipv4>& claimed) {
  uint32_t prefix = std::clamp(candidate.prefix, 24u, 30u);
  Ipv4 last = candidate.address | ~mask_of(prefix), first = candidate.address & mask_of(prefix);
  size_t tried = 0;
  for (Ipv4 each = last - 1; each > first && tried < kNeighboursTried; --each) {
    if (claimed.contains(each)) continue;
    ++tried;
    if (!is_taken(each)) return each;
  }
  throw Error(ErrorCode::unavailable, fmt::format("no address next to {} is free to probe from",
                                                  format_ipv4(candidate.address)));
}

void GuestNetwork::route(const Candidate& candidate, const MacAddress& card,
                         const std::set<Ipv4>& claimed) {
  auto known = routed_.find(candidate.address);
  bool is_usable = known != routed_.end() && known->second.first == card &&
                   !claimed.contains(known->second.second);
  if (is_usable) return;
  if (routed_.size() >= kMaxRouted)
    throw Error(ErrorCode::unavailable, "too many addresses on " + bridge_);
  Ipv4 own = free_neighbour(candidate, claimed);
  std::string guest = format_ipv4(candidate.address), ours = format_ipv4(own);
  inside([&] {
    ip({"address", "replace", ours + "/32", "dev", kInsideDevice});
    ip({"route", "replace", guest + "/32", "dev", kInsideDevice, "src", ours});
    ip({"neighbour", "replace", guest, "lladdr",
        fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", card[0], card[1], card[2], card[3],
                    card[4], card[5]),
        "dev", kInsideDevice, "nud", "permanent"});
  });
  routed_[candidate.address] = {card, own};
}

std::shared_ptr<GuestNetwork> GuestNetworks::on(const std::string& bridge, NetworkPlace place) {
  std::lock_guard<std::mutex> one_at_a_time(mutex_);
  Entry& entry = entries_[bridge];
  entry.used = Clock::now();
  if (!entry.network) {
    try {
      entry.network = std::make_shared<GuestNetwork>(bridge, place);
    } catch (...) {
      entries_.erase(bridge);
      throw;
    }
  }
  return entry.network;
}

void GuestNetworks::sweep() {
  std::vector<std::shared_ptr<GuestNetwork>> over;  // destroyed after the lock is released
  std::lock_guard<std::mutex> one_at_a_time(mutex_);
  std::erase_if(entries_, [&](auto& item) {
    bool idle = Clock::now() - item.second.used > kIdle;
    if (!idle && ::if_nametoindex(item.first.c_str()) != 0) return false;
    over.push_back(std::move(item.second.network));
    return true;
  });
}

}  // namespace appliance::boot
