// The carrier of HTTP: TLS over TCP, or an unencrypted unix socket, behind one interface, so that
// the HTTP code is compiled once. Private to the server. Used only by coroutines on the network
// thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "appliance/api/http/authenticator.h"
#include "base/byte_stream.h"

namespace appliance::api {

// Every operation throws boost::system::system_error when the connection fails or the deadline has
// passed.
class Transport {
 public:
  virtual ~Transport() = default;

  // For everything that follows, until it is set again. nullopt: none.
  virtual void set_deadline(std::optional<std::chrono::seconds> from_now) = 0;
  // Performs the TLS handshake, if there is one. Then the peer is known.
  virtual boost::asio::awaitable<PeerFacts> open() = 0;
  // 0: the peer has ended it.
  virtual boost::asio::awaitable<size_t> read_some(base::MutableByteView out) = 0;
  virtual boost::asio::awaitable<void> write_all(base::ByteView bytes) = 0;
  // Tells the peer that the connection ends.
  virtual boost::asio::awaitable<void> close() = 0;
  // Ends it at once: everything that is waiting fails.
  virtual void cut() noexcept = 0;
  // Takes the connection out of Asio; the transport is unusable afterwards.
  virtual std::unique_ptr<base::ByteStream> detach() = 0;
};

std::unique_ptr<Transport> make_tls_transport(boost::asio::ip::tcp::socket socket,
                                              boost::asio::ssl::context& tls);
std::unique_ptr<Transport> make_local_transport(boost::asio::local::stream_protocol::socket socket);

}  // namespace appliance::api
