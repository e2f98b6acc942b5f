// One HTTP connection from its first byte to its last, as an Asio coroutine. Private to the server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "appliance/api/console_session.h"
#include "appliance/api/server.h"
#include "appliance/api/transport.h"

namespace appliance::api {

// Takes an upgraded connection out of the network thread's hands.
using HandOver = std::function<void(std::unique_ptr<base::ByteStream>, Principal)>;

// What all connections of a server share. Outlives them.
struct ConnectionServices {
  const Router& router;
  Authenticator& authenticator;
  const ServerLimits& limits;
  boost::asio::thread_pool& handlers;
  // Takes a slot for an upgraded connection; empty when all are taken. The result is called once,
  // or destroyed, which gives the slot back.
  std::function<HandOver()> reserve_upgrade;
  size_t console_count = 0;  // WebSockets that are open; used by the network thread alone
  VncDoors vnc_doors = {};
};

// Ends without throwing: a connection's failure is its own.
boost::asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport,
                                              ConnectionServices& services);

}  // namespace appliance::api
