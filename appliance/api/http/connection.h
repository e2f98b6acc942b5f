// One HTTP connection from its first byte to its last, as an Asio coroutine. Private to the server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "appliance/api/http/rate_limit.h"
#include "appliance/api/http/server.h"
#include "appliance/api/http/transport.h"

namespace appliance::api {

// Takes an upgraded connection out of the network thread's hands.
using HandOver = std::function<void(std::unique_ptr<base::ByteStream>, Principal)>;

// One open connection, as the server counts it. Used by the network thread alone.
struct ConnectionSlot {
  std::string address;             // of the peer, without its port; empty for the local socket
  std::string principal;           // who it is; empty: a stranger
  bool is_cut = false;             // ends as soon as it can
  Transport* transport = nullptr;  // null when the connection has left Asio
};

// What all connections of a server share. Outlives them.
struct ConnectionServices {
  const Router& router;
  Authenticator& authenticator;
  const ServerLimits& limits;
  boost::asio::thread_pool& handlers;
  // Takes a place for a session of this agent. Throws busy when there is none for it. The result is
  // called once, or destroyed, which gives the place back.
  std::function<HandOver(const Principal&)> reserve_upgrade;
  // Whether one more connection of this principal is within its limit.
  std::function<bool(const ConnectionSlot&)> has_room;
  const std::function<void(const catalog::Host&, const alerts::Misconduct&)>& misconduct;
  RateLimit agents;            // by host
  RateLimit strangers;         // by address
  size_t websocket_count = 0;  // that are open; used by the network thread alone
};

// Ends without throwing: a connection's failure is its own.
boost::asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport,
                                              ConnectionServices& services, ConnectionSlot& slot);

}  // namespace appliance::api
