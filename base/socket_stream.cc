#include "base/socket_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/error.h"

namespace base {
namespace {

using Clock = std::chrono::steady_clock;

// Of a watched connection. With no bytes in flight the kernel's probes detect that the peer is
// gone. With bytes in flight it retransmits them for many minutes and sends no probes. Then the age
// of the last acknowledgement tells; probes, and data for a peer that is too busy to read, are
// acknowledged.
constexpr int kProbeAfter = 5, kProbeEvery = 3, kProbeCount = 3;  // seconds, seconds, probes
constexpr uint32_t kSilenceMs = 15'000;
constexpr int64_t kLookEveryMs = 3'000;

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

// Finishes a connection attempt. Returns its error; 0 for success.
int finish_connecting(int fd, std::chrono::milliseconds timeout) {
  if (!wait_for_socket(fd, POLLOUT, timeout)) return ETIMEDOUT;
  int reason = 0;
  socklen_t size = sizeof reason;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) return errno;
  return reason;
}

[[noreturn]] void fail_stream(int reason, const std::string& peer, bool aborted) {
  if (aborted) throw Error(ErrorCode::cancelled, "the connection to " + peer + " was ended here");
  if (reason == ECONNRESET || reason == EPIPE) {
    throw Error(ErrorCode::unavailable, peer + " cut the connection");
  }
  throw Error(ErrorCode::unavailable,
              fmt::format("the connection to {} failed: {}", peer, std::strerror(reason)));
}

[[noreturn]] void fail_timeout(const std::string& peer, std::chrono::milliseconds timeout) {
  throw Error(ErrorCode::unavailable, fmt::format("{} was silent for {:.0f} s", peer,
                                                  static_cast<double>(timeout.count()) / 1000));
}

bool is_dead(int fd) {
  int watched = 0;
  socklen_t size = sizeof watched;
  if (::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &watched, &size) != 0 || watched == 0)
    return false;
  tcp_info info{};
  size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  return info.tcpi_unacked > 0 && info.tcpi_last_ack_recv > kSilenceMs;
}

}  // namespace

void make_socket_non_blocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error(errno, "cannot make a socket non-blocking");
  }
}

std::string Endpoint::text() const {
  bool bare_ipv6 = host.find(':') != std::string::npos;
  return bare_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Endpoint parse_endpoint(std::string_view text, uint16_t default_port) {
  Endpoint endpoint{std::string(text), default_port};
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    size_t end = text.find(']');
    bool good = end != std::string_view::npos && (end + 1 == text.size() || text[end + 1] == ':');
    if (!good) throw Error(ErrorCode::invalid_argument, fmt::format("'{}' is not HOST:PORT", text));
    endpoint.host = text.substr(1, end - 1);
    has_port = end + 1 < text.size();
    if (has_port) port = text.substr(end + 2);
  } else if (text.find(':') == text.rfind(':') && text.find(':') != std::string_view::npos) {
    has_port = true;
    endpoint.host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  if (has_port) {
    auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (problem != std::errc() || end != port.data() + port.size() || endpoint.port == 0) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("'{}' is not a port (1 to 65535)", port));
    }
  }
  if (endpoint.host.empty() || endpoint.host.size() > 255) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not HOST:PORT", text.substr(0, 80)));
  }
  return endpoint;
}

UniqueFd connect_tcp(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  AddressList addresses;
  std::string port = std::to_string(endpoint.port);
  int lookup = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &addresses.first);
  if (lookup != 0) {
    throw Error(ErrorCode::unavailable, fmt::format("cannot find the address of {}: {}",
                                                    endpoint.host, ::gai_strerror(lookup)));
  }
  int reason = EADDRNOTAVAIL;
  for (addrinfo* address = addresses.first; address != nullptr; address = address->ai_next) {
    UniqueFd fd(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
      reason = errno;
      continue;
    }
    reason = ::connect(fd.get(), address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (reason == EINPROGRESS) reason = finish_connecting(fd.get(), timeout);
    if (reason != 0) continue;
    int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch_peer(fd.get());
    return fd;
  }
  throw Error(ErrorCode::unavailable,
              fmt::format("cannot connect to {}: {}", endpoint.text(), std::strerror(reason)));
}

UniqueFd connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error(ErrorCode::invalid_argument, "the socket's path is too long: " + path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // Connecting to a unix socket is immediate, or waits while the listener's queue is full: so it
  // may block.
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw system_error(errno, "cannot make a socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) {
      throw Error(ErrorCode::unavailable, "nobody listens on " + path + ": is the daemon running?");
    }
    throw system_error(errno, "cannot connect to " + path);
  }
  make_socket_non_blocking(fd.get());
  return fd;
}

void watch_peer(int fd) {
  auto set = [&](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfter);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kProbeEvery);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbeCount);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
}

bool wait_for_socket(int fd, short events, std::chrono::milliseconds timeout) {
  Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, events, 0};
    int count =
        ::poll(&entry, 1, left > 0 ? static_cast<int>(std::min<int64_t>(left, kLookEveryMs)) : 0);
    if (count > 0) return true;
    if (count == 0 && left <= 0) return false;
    if (count == 0 && is_dead(fd)) {
      throw Error(
          ErrorCode::unavailable,
          fmt::format("{} has acknowledged nothing for {} s: it is gone, or the network is broken",
                      peer_address(fd), kSilenceMs / 1000));
    }
    if (count < 0 && errno != EINTR) throw system_error(errno, "cannot wait for a socket");
  }
}

std::string peer_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(fd, generic, &size) != 0) return "unknown peer";
  if (address.ss_family == AF_UNIX) return "local socket";
  int bad = ::getnameinfo(generic, size, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
  if (bad != 0) return "unknown peer";
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                       : fmt::format("{}:{}", host, port);
}

SocketStream::SocketStream(UniqueFd fd) : fd_(std::move(fd)), peer_(peer_address(fd_.get())) {
  make_socket_non_blocking(fd_.get());
}

size_t SocketStream::read_some(MutableByteView out, std::chrono::milliseconds timeout) {
  for (;;) {
    ssize_t count = ::recv(fd_.get(), out.data(), out.size(), 0);
    int reason = errno;
    // After abort() the kernel reports an end that the peer did not send.
    if (count == 0 && aborted_) fail_stream(0, peer_, true);
    if (count >= 0) return static_cast<size_t>(count);
    if (reason == EINTR) continue;
    if (reason != EAGAIN) fail_stream(reason, peer_, aborted_);
    if (!wait_for_socket(fd_.get(), POLLIN, timeout)) fail_timeout(peer_, timeout);
  }
}

bool SocketStream::wait_readable(std::chrono::milliseconds timeout) {
  return wait_for_socket(fd_.get(), POLLIN, timeout);
}

void SocketStream::write_all(ByteView bytes, std::chrono::milliseconds timeout) {
  while (!bytes.empty()) {
    ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    int reason = errno;
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(count));
      continue;
    }
    if (reason == EINTR) continue;
    if (reason != EAGAIN) fail_stream(reason, peer_, aborted_);
    if (!wait_for_socket(fd_.get(), POLLOUT, timeout)) fail_timeout(peer_, timeout);
  }
}

void SocketStream::finish() noexcept { ::shutdown(fd_.get(), SHUT_WR); }

void SocketStream::abort() noexcept {
  aborted_ = true;
  ::shutdown(fd_.get(), SHUT_RDWR);
}

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_stream_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    throw system_error(errno, "cannot make a pair of sockets");
  }
  UniqueFd first(fds[0]), second(fds[1]);
  return {std::make_unique<SocketStream>(std::move(first)),
          std::make_unique<SocketStream>(std::move(second))};
}

}  // namespace base
