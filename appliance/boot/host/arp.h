// ARP (RFC 826) as far as searching for guests needs it: requests as whole Ethernet frames, and
// what a frame says about its sender. Frames come from guests: everything is checked. Pure
// functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace appliance::boot {

using MacAddress = std::array<uint8_t, 6>;
std::optional<MacAddress> parse_mac(const std::string& text);  // "52:54:00:12:34:56"

using Ipv4 = uint32_t;  // in host byte order: 10.0.0.5 is 0x0a000005

// Nothing unless it is the dotted decimal form of an address that one station can have: no network
// 0, no loopback, no multicast, no broadcast.
std::optional<Ipv4> parse_station_ipv4(const std::string& text);
std::string format_ipv4(Ipv4 address);

// Asks all stations who has `wanted`. With a sender of 0 it does not announce an address (RFC
// 5227).
base::Bytes arp_question(const MacAddress& from, Ipv4 sender, Ipv4 wanted);

struct HeardFrame {
  MacAddress station{};  // the sender
  Ipv4 address = 0;      // its address, as it claims; a valid one for a station
  bool is_arp = false;
};

// What an Ethernet frame says about its sender's IPv4 address: ARP whose two sender fields agree,
// or an IPv4 packet. Nothing for anything else.
std::optional<HeardFrame> hear(base::ByteView frame);

}  // namespace appliance::boot
