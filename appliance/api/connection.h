// One HTTP connection from its first byte to its last, as an Asio coroutine. Private to the server; apart
// from server.cc, connection.cc is the only file that knows Asio, and the only one that knows Beast.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "appliance/api/server.h"

namespace appliance::api {

// What all connections of a server share. Outlives them.
struct ConnectionServices {
  const Router& router;
  Authenticator& authenticator;
  const ServerLimits& limits;
  boost::asio::thread_pool& handlers;
  // Takes a slot for an upgraded connection; empty when all are taken. Otherwise it is called once with the
  // connection, or destroyed, which gives the slot back.
  std::function<std::function<void(std::unique_ptr<base::ByteStream>, Principal)>()> reserve_upgrade;
};

// Both end without throwing: a connection's failure is its own.
boost::asio::awaitable<void> serve_tls(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& tls,
                                       ConnectionServices& services);
boost::asio::awaitable<void> serve_local(boost::asio::local::stream_protocol::socket socket,
                                         ConnectionServices& services);

}  // namespace appliance::api
