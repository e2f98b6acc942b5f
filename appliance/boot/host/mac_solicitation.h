// Makes a silent station send something, so that a bridge learns it; only its MAC address is known.
// Points do not hold the addresses of guests, so nobody can be asked by ARP; but every host answers
// what goes to all hosts of its link: an echo request and a listener query of IPv6 (RFC 4443,
// 3810), a membership query of IPv4 (RFC 3376). Sent to the one MAC address, nobody else sees them,
// and whatever comes back makes the bridge learn who sent it. Pure functions but for
// send_solicitation().
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/host/arp.h"
#include "base/bytes.h"

namespace appliance::boot {

// Whole Ethernet frames.
std::vector<base::Bytes> solicitations_to(const MacAddress& station, const MacAddress& caller);

// An answer comes within half a second, if it comes. A failure is logged: then the station stays
// unknown, as without one.
void send_solicitation(const std::string& bridge, const std::string& mac);

}  // namespace appliance::boot
