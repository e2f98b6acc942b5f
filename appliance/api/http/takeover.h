// What takes a connection over from HTTP: a VM's screen over a WebSocket, live events. The HTTP layer
// does not know what for.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "appliance/api/http/transport.h"

namespace appliance::api {

using UpgradeRequest = boost::beast::http::request<boost::beast::http::string_body>;

// Used by the network thread alone.
class Takeover {
 public:
  virtual ~Takeover() = default;

  // Answers the request and serves the connection to its end. Throws base::Error if it could not
  // begin; then nothing was answered, and the error becomes the answer.
  virtual boost::asio::awaitable<void> serve(Transport& transport,
                                             boost::asio::any_io_executor executor,
                                             const UpgradeRequest& request) = 0;
};

}  // namespace appliance::api
