// Where a notification may be sent. Whoever may make channels through the API must not thereby reach
// what only this machine can: its own services, and link-local addresses (169.254.169.254 answers
// with a cloud machine's secrets). Functions are thread-safe.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace appliance::notices {

// Whether the address is of this machine (loopback, unspecified), link-local, multicast or broadcast;
// IPv4 addresses inside IPv6 ones count as IPv4.
bool is_local_target(const sockaddr& address);

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string text;  // "192.0.2.7:162", "[2001:db8::1]:162"
};

// The first address of HOST or HOST:PORT that may be used. Throws unavailable if the name is not
// known, unauthorized if all its addresses are local and that is not allowed. `socket_type`:
// SOCK_STREAM or SOCK_DGRAM.
Target resolve_target(const std::string& server, uint16_t default_port, int socket_type,
                      bool may_be_local);

// HOST and PORT of "HOST", "HOST:PORT", "[::1]:PORT". Throws invalid_argument.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
HostPort split_server(const std::string& server, uint16_t default_port);

inline constexpr const char* kLocalRefused =
    "it is an address of this machine or of its link, which channels must not reach; if it is "
    "right, "
    "set alerts.local_targets = true in mulettod.toml";

}  // namespace appliance::notices
