// Plain sockets: connecting with a deadline, and a ByteStream over a socket. Functions are
// thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/byte_stream.h"
#include "base/unique_fd.h"

namespace base {

struct Endpoint {
  std::string host;  // a name, an IPv4 or an IPv6 address without brackets
  uint16_t port = 0;

  std::string text() const;  // "host:7443", "[::1]:7443"
};

// "host", "host:7443", "[::1]:7443", "::1". Throws invalid_argument.
Endpoint parse_endpoint(std::string_view text, uint16_t default_port);

// A connected, non-blocking TCP socket without Nagle's delay. Tries each address of the name in
// turn. Throws unavailable, naming the endpoint and the reason of the last attempt.
UniqueFd connect_tcp(const Endpoint& endpoint, std::chrono::milliseconds timeout = kConnectTimeout);

// A connected, non-blocking unix socket. Throws not_found, unavailable, unauthorized.
UniqueFd connect_unix(const std::string& path);

void make_socket_non_blocking(int fd);

// Asks the kernel to watch the other end of a TCP connection: a peer that is gone, or a broken
// network, is detected within about 15 s, whether bytes are in flight (wait_for_socket()) or not. A
// peer that is only slow is not affected. Does nothing for other sockets.
void watch_peer(int fd);

// Waits until `fd` has one of `events` (as for poll), an error or a hang-up; false after `timeout`.
// Throws unavailable if the peer of a watched connection no longer acknowledges anything.
bool wait_for_socket(int fd, short events, std::chrono::milliseconds timeout);

// The other end's address, "192.0.2.7:41234", or "local socket".
std::string peer_address(int fd);

// An unencrypted stream. Takes a connected stream socket of any family and makes it non-blocking.
class SocketStream : public ByteStream {
 public:
  explicit SocketStream(UniqueFd fd);

  size_t read_some(MutableByteView out, std::chrono::milliseconds timeout) override;
  bool wait_readable(std::chrono::milliseconds timeout) override;
  void write_all(ByteView bytes, std::chrono::milliseconds timeout) override;
  void finish() noexcept override;
  void abort() noexcept override;
  const std::string& peer() const override { return peer_; }

 private:
  UniqueFd fd_;
  std::string peer_;
  std::atomic<bool> aborted_{false};
};

// Two connected streams within this process.
std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_stream_pair();

}  // namespace base
