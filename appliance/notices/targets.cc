#include "appliance/notices/targets.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace appliance::notices {
namespace {

using base::Error;
using base::ErrorCode;

bool is_local_ipv4(uint32_t address) {  // host byte order
  uint32_t first = address >> 24;
  bool is_link_local = (address >> 16) == 0xa9fe;
  return first == 0 || first == 127 || first >= 224 || is_link_local;
}

}  // namespace

bool is_local_target(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, &address, sizeof ipv4);
    return is_local_ipv4(ntohl(ipv4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return true;
  sockaddr_in6 ipv6{};
  std::memcpy(&ipv6, &address, sizeof ipv6);
  const in6_addr& ip = ipv6.sin6_addr;
  uint32_t tail = 0;
  std::memcpy(&tail, ip.s6_addr + 12, sizeof tail);
  // ::ffff:0:0/96, 64:ff9b::/96, and the obsolete ::/96
  constexpr uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_V4MAPPED(&ip) || std::memcmp(ip.s6_addr, kNat64, sizeof kNat64) == 0)
    return is_local_ipv4(ntohl(tail));
  return IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) ||
         IN6_IS_ADDR_MULTICAST(&ip) || IN6_IS_ADDR_V4COMPAT(&ip);
}

HostPort split_server(const std::string& server, uint16_t default_port) {
  HostPort split{server, default_port};
  size_t colon = server.rfind(':');
  bool is_bracketed = server.starts_with('[');
  // A bare IPv6 address has several colons, and no port.
  bool has_port = colon != std::string::npos &&
                  (is_bracketed ? server[colon - 1] == ']' : server.find(':') == colon);
  if (has_port) {
    const char* end = server.data() + server.size();
    auto result = std::from_chars(server.data() + colon + 1, end, split.port);
    if (result.ec != std::errc() || result.ptr != end || split.port == 0)
      throw Error(ErrorCode::invalid_argument, fmt::format("'{}' has no valid port", server));
    split.host = server.substr(0, colon);
  }
  if (split.host.starts_with('[') && split.host.ends_with(']'))
    split.host = split.host.substr(1, split.host.size() - 2);
  return split;
}

Target resolve_target(const std::string& server, uint16_t default_port, int socket_type,
                      bool may_be_local) {
  HostPort place = split_server(server, default_port);
  addrinfo hints{};
  hints.ai_socktype = socket_type;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int failure =
      ::getaddrinfo(place.host.c_str(), std::to_string(place.port).c_str(), &hints, &found);
  if (failure != 0) {
    throw Error(ErrorCode::unavailable,
                fmt::format("'{}' cannot be looked up: {}", place.host, ::gai_strerror(failure)));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (!may_be_local && is_local_target(*each->ai_addr)) continue;
    Target target;
    std::memcpy(&target.address, each->ai_addr, each->ai_addrlen);
    target.size = each->ai_addrlen;
    char text[NI_MAXHOST] = {};
    ::getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    target.text = each->ai_family == AF_INET6 ? fmt::format("[{}]:{}", text, place.port)
                                              : fmt::format("{}:{}", text, place.port);
    return target;
  }
  throw Error(ErrorCode::unauthorized,
              fmt::format("'{}' is not used: {}", place.host, kLocalRefused));
}

}  // namespace appliance::notices
