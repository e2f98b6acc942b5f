#include "appliance/boot/host/mac_solicitation.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/log.h"
#include "base/unique_fd.h"

namespace appliance::boot {
namespace {

using base::Bytes;

constexpr uint8_t kIcmpV6 = 58, kIgmp = 2;
// How long a host may wait before it answers: milliseconds, and tenths of a second.
constexpr uint16_t kAnswerWithinMs = 400;
constexpr uint8_t kAnswerWithinTenths = 4;
constexpr std::array<uint8_t, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

void add(Bytes& to, std::initializer_list<uint8_t> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
template <typename Range>
void add_all(Bytes& to, const Range& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
void add_u16(Bytes& to, size_t value) {
  add(to, {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)});
}

// The checksum of the internet protocols (RFC 1071).
uint16_t checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    sum += i % 2 == 0 ? static_cast<uint32_t>(bytes[i]) << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void put_u16(Bytes& in, size_t place, uint16_t value) {
  in[place] = static_cast<uint8_t>(value >> 8);
  in[place + 1] = static_cast<uint8_t>(value);
}

Bytes ethernet(const MacAddress& to, const MacAddress& from, uint16_t type) {
  Bytes frame(to.begin(), to.end());
  add_all(frame, from);
  add_u16(frame, type);
  return frame;
}

// The address that an interface assigns itself (RFC 4291, appendix A).
std::array<uint8_t, 16> link_local(const MacAddress& mac) {
  return {0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<uint8_t>(mac[0] ^ 2),
          mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

// `message` is ICMPv6 with an empty checksum; `options` go between the headers.
Bytes to_all_nodes(const MacAddress& station, const MacAddress& caller, uint8_t hop_limit,
                   const Bytes& options, Bytes message) {
  Bytes pseudo;
  add_all(pseudo, link_local(caller));
  add_all(pseudo, kAllNodes);
  add(pseudo, {0, 0});
  add_u16(pseudo, message.size());
  add(pseudo, {0, 0, 0, kIcmpV6});
  add_all(pseudo, message);
  put_u16(message, 2, checksum(pseudo));

  Bytes frame = ethernet(station, caller, ETHERTYPE_IPV6);
  add(frame, {0x60, 0, 0, 0});
  add_u16(frame, options.size() + message.size());
  add(frame, {options.empty() ? kIcmpV6 : uint8_t{0}, hop_limit});
  add_all(frame, link_local(caller));
  add_all(frame, kAllNodes);
  add_all(frame, options);
  add_all(frame, message);
  return frame;
}

Bytes echo_request(const MacAddress& station, const MacAddress& caller) {
  return to_all_nodes(station, caller, 255, {}, {128, 0, 0, 0, 0x4d, 0x75, 0, 1});
}

Bytes listener_query(const MacAddress& station, const MacAddress& caller) {
  const Bytes router_alert{kIcmpV6, 0, 5, 2, 0, 0, 1, 0};
  Bytes query{130, 0, 0, 0};
  add_u16(query, kAnswerWithinMs);
  add(query, {0, 0});
  query.resize(query.size() + 16);  // of all groups
  add(query, {2, 125, 0, 0});
  return to_all_nodes(station, caller, 1, router_alert, std::move(query));
}

Bytes membership_query(const MacAddress& station, const MacAddress& caller) {
  Bytes query{0x11, kAnswerWithinTenths, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0};
  put_u16(query, 2, checksum(query));
  Bytes header{0x46, 0xc0};  // with one option, network control
  add_u16(header, 24 + query.size());
  add(header, {0, 0, 0x40, 0, 1, kIgmp, 0, 0});
  add(header, {0, 0, 0, 0, 224, 0, 0, 1});  // sender 0, as a switch uses
  add(header, {0x94, 4, 0, 0});             // router alert
  put_u16(header, 10, checksum(header));
  Bytes frame = ethernet(station, caller, ETHERTYPE_IP);
  add_all(frame, header);
  add_all(frame, query);
  return frame;
}

std::string address_of(const std::string& interface) {
  std::ifstream file("/sys/class/net/" + interface + "/address");
  std::string text;
  std::getline(file, text);
  return text;
}

}  // namespace

std::vector<base::Bytes> solicitations_to(const MacAddress& station, const MacAddress& caller) {
  return {echo_request(station, caller), listener_query(station, caller),
          membership_query(station, caller)};
}

void send_solicitation(const std::string& bridge, const std::string& mac) {
  std::optional<MacAddress> station = parse_mac(mac), caller = parse_mac(address_of(bridge));
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_ifindex = static_cast<int>(::if_nametoindex(bridge.c_str()));
  if (!station || !caller || place.sll_ifindex == 0) return;
  base::UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  for (const base::Bytes& frame : solicitations_to(*station, *caller)) {
    if (!socket || ::sendto(socket.get(), frame.data(), frame.size(), 0,
                            reinterpret_cast<const sockaddr*>(&place), sizeof place) < 0) {
      base::log().warn("no station could be asked on bridge {}: {}", bridge, std::strerror(errno));
      return;
    }
  }
}

}  // namespace appliance::boot
