// One HTTP connection from its first byte to its last, as an Asio coroutine. Private to the server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "appliance/api/http/rate_limit.h"
#include "appliance/api/http/server.h"
#include "appliance/api/http/transport.h"

namespace appliance::api {

// Takes an upgraded connection over from the network thread.
using HandOver = std::function<void(std::unique_ptr<base::ByteStream>, Principal)>;

// One open connection, as counted by the server. Used only by the network thread.
struct ConnectionSlot {
  std::string address;             // of the peer, without its port; empty for the local socket
  std::string principal;           // the principal; empty: anonymous
  bool is_cut = false;             // ends as soon as possible
  Transport* transport = nullptr;  // null when the connection has left Asio
};

// How many connections were taken over and are open. Used by the network thread alone.
struct TakenOver {
  size_t websocket_count = 0;
  size_t live_count = 0;
  std::map<std::string, size_t> live_of;  // by principal; only those that have one
};

// Shared by all connections of a server. Must outlive them.
struct ConnectionServices {
  const Router& router;
  Authenticator& authenticator;
  const ServerLimits& limits;
  boost::asio::thread_pool& handlers;
  // Reserves a slot for a session of this agent, or of an operator that imports. Throws busy if there is none for it. The result is
  // called once, or destroyed, which releases the slot.
  std::function<HandOver(const Principal&)> reserve_upgrade;
  // Whether one more connection of this principal is within its limit.
  std::function<bool(const ConnectionSlot&)> has_room;
  const std::function<void(const catalog::Host&, const alerts::Misconduct&)>& misconduct;
  audit::AuditLog* audit;  // null: nothing is noted
  RateLimit agents;        // by host
  RateLimit strangers;     // by address
  // Shared with the connections: those that are open when the server ends are destroyed after this.
  std::shared_ptr<TakenOver> taken_over = std::make_shared<TakenOver>();
};

// Ends without throwing: a failure affects only its own connection.
boost::asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport,
                                              ConnectionServices& services, ConnectionSlot& slot);

}  // namespace appliance::api
