// A VM's screen over a WebSocket: bytes of VNC in binary messages, both ways. Private to the
// server; the one place that sees Beast's WebSocket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "appliance/api/http.h"
#include "appliance/api/transport.h"

namespace appliance::api {

// Connects to the VM, answers the upgrade, and serves until one side ends, the client stays silent
// for a minute (it is pinged), or does not take what is sent to it for so long. At most a block of
// 64 KiB is under way in each direction. Throws what kept it from beginning; nothing was answered
// then.
boost::asio::awaitable<void> serve_console(
    Transport& transport, boost::asio::any_io_executor executor,
    const boost::beast::http::request<boost::beast::http::string_body>& upgrade,
    const VncTunnel& tunnel);

}  // namespace appliance::api
