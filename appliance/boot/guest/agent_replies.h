// Replies of a guest agent. The agent runs in the guest and may answer anything, of any type, size
// and depth: anything unexpected counts as absent, and never leads to an exception. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot {

// For guest-network-get-interfaces: the addresses of interfaces that report a MAC address, at most
// 64; each one is an IPv4 or IPv6 address, as inet_ntop() writes it.
std::vector<AddressClaim> read_agent_addresses(std::string_view reply);

// For guest-exec: the number with which to query the outcome.
std::optional<int64_t> read_exec_number(std::string_view reply);

// For guest-exec-status: the exit status, -1 if it was ended otherwise; nothing while it runs.
std::optional<int64_t> read_exec_status(std::string_view reply);

}  // namespace appliance::boot
