// Replies of a guest agent. The agent runs in the guest and may answer anything, of any type, size
// and depth: what is not as expected is an absence, never an exception. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot {

// To guest-network-get-interfaces: the addresses of interfaces that tell a MAC address, at most 64;
// each one is an IPv4 or IPv6 address, written as inet_ntop() does.
std::vector<AddressClaim> read_agent_addresses(std::string_view reply);

// To guest-exec: the number to ask for the outcome with.
std::optional<int64_t> read_exec_number(std::string_view reply);

// To guest-exec-status: the exit status, -1 if it was ended otherwise; nothing while it runs.
std::optional<int64_t> read_exec_status(std::string_view reply);

}  // namespace appliance::boot
