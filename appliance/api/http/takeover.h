// What takes a connection over from HTTP: a VM's screen over a WebSocket, an answer without an end.
// The HTTP layer does not know what for.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>

#include "appliance/api/http/transport.h"

namespace appliance::api {

using UpgradeRequest = boost::beast::http::request<boost::beast::http::string_body>;

// What the server offers to what takes a connection over; valid until serve() has ended.
struct TakeoverTools {
  boost::asio::any_io_executor executor;  // the network thread's
  boost::asio::thread_pool& handlers;     // for short work that may block
  std::chrono::seconds write_timeout;     // how long a client may take for one piece
  // Throws base::Error if the peer's credentials no longer count: revoked, expired.
  std::function<boost::asio::awaitable<void>()> expect_still_allowed;
};

enum class TakeoverKind {
  websocket,    // only for requests that ask for a WebSocket
  live_answer,  // an answer to an ordinary request
};

// Used by the network thread alone.
class Takeover {
 public:
  virtual ~Takeover() = default;

  virtual TakeoverKind kind() const { return TakeoverKind::websocket; }

  // Answers the request and serves the connection to its end. Throws base::Error if it could not
  // begin; then nothing was answered, and the error becomes the answer.
  virtual boost::asio::awaitable<void> serve(Transport& transport, const TakeoverTools& tools,
                                             const UpgradeRequest& request) = 0;
};

}  // namespace appliance::api
