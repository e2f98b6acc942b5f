// The beginning of a VNC connection (RFC 6143, chapter 7.1 and 7.2), from both ends: the appliance
// logs in to QEMU with the VM's password, and admits a client without a password, since the API has
// already authenticated it. So no password reaches a browser. Pure functions, and an interface for
// the connection.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"

namespace appliance::api {

// The bytes of one connection, in order; each function throws if it ends early.
struct VncPeer {
  std::function<boost::asio::awaitable<void>(base::MutableByteView)> read;
  std::function<boost::asio::awaitable<void>(base::ByteView)> write;
};

// Returns when QEMU waits for ClientInit. Throws unavailable (it is not a VNC server, or requires
// something other than a password), unauthorized (wrong password).
boost::asio::awaitable<void> log_in_to_vm(VncPeer vm, std::string password);

// Returns when the client has sent ClientInit, which is consumed. Throws invalid_argument if it
// speaks another protocol.
boost::asio::awaitable<void> let_client_in(VncPeer client);

// The answer to a VNC server's challenge: DES, with the password as key and the bits of each byte
// reversed (RFC 6143, 7.2.2 and errata).
std::array<uint8_t, 16> vnc_response(const std::array<uint8_t, 16>& challenge,
                                     const std::string& password);

}  // namespace appliance::api
