// A VM's screen over a WebSocket: bytes of VNC in binary messages, both ways. Private to the
// server; the one place that sees Beast's WebSocket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <map>
#include <memory>

#include "appliance/api/http.h"
#include "appliance/api/transport.h"

namespace appliance::api {

// Lets one connection at a time log in to a VM's screen, others wait. QEMU listens with a queue of
// one: of several that come at once the kernel drops handshakes in a way that makes them hang. Used
// by the network thread alone.
class VncDoors {
 public:
  struct Door;  // of one VM; there as long as somebody is at it
  std::shared_ptr<Door> of(uint16_t port, const boost::asio::any_io_executor& executor);

 private:
  std::map<uint16_t, std::weak_ptr<Door>> doors_;
};

// Connects to the VM, answers the upgrade, and serves until one side ends, the client stays silent
// for a minute (it is pinged), or does not take what is sent to it for so long. At most a block of
// 64 KiB is under way in each direction. Throws what kept it from beginning; nothing was answered
// then.
boost::asio::awaitable<void> serve_console(
    Transport& transport, boost::asio::any_io_executor executor,
    const boost::beast::http::request<boost::beast::http::string_body>& upgrade, VncDoors& doors,
    const VncTunnel& tunnel);

}  // namespace appliance::api
