#include "appliance/boot/host/arp.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace appliance::boot {
namespace {

constexpr size_t kHeaderSize = 14;  // of Ethernet
constexpr size_t kArpSize = 28;
constexpr size_t kIpv4HeaderSize = 20;
constexpr size_t kSourceInIpv4 = 12;

uint16_t u16_at(base::ByteView bytes, size_t place) {
  return static_cast<uint16_t>(bytes[place] << 8 | bytes[place + 1]);
}
Ipv4 ipv4_at(base::ByteView bytes, size_t place) {
  return static_cast<Ipv4>(u16_at(bytes, place)) << 16 | u16_at(bytes, place + 2);
}
void add_u16(base::Bytes& to, uint32_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}
void add_ipv4(base::Bytes& to, Ipv4 address) {
  add_u16(to, address >> 16);
  add_u16(to, address & 0xffff);
}

bool is_station(Ipv4 address) {
  uint32_t first = address >> 24;
  return first != 0 && first != 127 && first < 224;
}

}  // namespace

std::optional<MacAddress> parse_mac(const std::string& text) {
  std::vector<std::string> parts = base::split(text, ':');
  MacAddress mac{};
  if (parts.size() != mac.size()) return std::nullopt;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    auto result = std::from_chars(parts[i].data(), end, mac[i], 16);
    if (parts[i].size() != 2 || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  }
  return mac;
}

std::optional<Ipv4> parse_station_ipv4(const std::string& text) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, text.c_str(), &parsed) != 1) return std::nullopt;
  Ipv4 address = ntohl(parsed.s_addr);
  return is_station(address) ? std::optional(address) : std::nullopt;
}

std::string format_ipv4(Ipv4 address) {
  in_addr raw{htonl(address)};
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &raw, text.data(), text.size());
  return text.data();
}

base::Bytes arp_question(const MacAddress& from, Ipv4 sender, Ipv4 wanted) {
  base::Bytes frame(6, 0xff);
  frame.insert(frame.end(), from.begin(), from.end());
  add_u16(frame, ETHERTYPE_ARP);
  add_u16(frame, 1);  // hardware type: Ethernet
  add_u16(frame, ETHERTYPE_IP);
  frame.push_back(6);
  frame.push_back(4);
  add_u16(frame, 1);  // operation: request
  frame.insert(frame.end(), from.begin(), from.end());
  add_ipv4(frame, sender);
  frame.insert(frame.end(), 6, 0);
  add_ipv4(frame, wanted);
  return frame;
}

std::optional<HeardFrame> hear(base::ByteView frame) {
  if (frame.size() < kHeaderSize) return std::nullopt;
  HeardFrame heard;
  std::copy_n(frame.begin() + 6, 6, heard.station.begin());
  base::ByteView payload = frame.subspan(kHeaderSize);
  uint16_t type = u16_at(frame, 12);
  if (type == ETHERTYPE_ARP && payload.size() >= kArpSize) {
    bool right = u16_at(payload, 0) == 1 && u16_at(payload, 2) == ETHERTYPE_IP && payload[4] == 6 &&
                 payload[5] == 4 &&
                 std::equal(heard.station.begin(), heard.station.end(), payload.begin() + 8);
    if (!right) return std::nullopt;
    heard.is_arp = true;
    heard.address = ipv4_at(payload, 14);
  } else if (type == ETHERTYPE_IP && payload.size() >= kIpv4HeaderSize && payload[0] >> 4 == 4) {
    heard.address = ipv4_at(payload, kSourceInIpv4);
  }
  return is_station(heard.address) ? std::optional(heard) : std::nullopt;
}

}  // namespace appliance::boot
