// Makes a station that a bridge has not heard lately say something, known by its MAC address alone.
// Points do not hold the addresses of guests, so nobody can be asked by ARP; but every host answers
// what goes to all hosts of its link: an echo request and a listener query of IPv6 (RFC 4443,
// 3810), a membership query of IPv4 (RFC 3376). Sent to the one MAC address, nobody else sees them,
// and whatever comes back makes the bridge learn who sent it. Pure functions but for
// call_station().
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/arp.h"
#include "base/bytes.h"

namespace appliance::boot::libvirt {

using boot::MacAddress;
using boot::parse_mac;

// Whole Ethernet frames.
std::vector<base::Bytes> calls_to(const MacAddress& station, const MacAddress& caller);

// An answer comes within half a second, if it comes. A failure is logged: then the station stays
// unheard, as without a call.
void call_station(const std::string& bridge, const std::string& mac);

}  // namespace appliance::boot::libvirt
