// The beginning of a VNC connection (RFC 6143, chapter 7.1 and 7.2), from both ends: the appliance
// logs in to QEMU with the VM's password, and lets a client in that was authenticated by the API
// already, without one. So no password reaches a browser. Pure functions, and a description of a
// connection as those need it.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"

namespace appliance::api {

// The bytes of one connection, in order; each throws when it ends early.
struct VncPeer {
  std::function<boost::asio::awaitable<void>(base::MutableByteView)> read;
  std::function<boost::asio::awaitable<void>(base::ByteView)> write;
};

// Until QEMU waits for ClientInit. Throws unavailable (it is no VNC server, or wants something else
// than a password), unauthorized (wrong password).
boost::asio::awaitable<void> log_in_to_vm(VncPeer vm, std::string password);

// Until the client has sent ClientInit, which is taken. Throws invalid_argument if it speaks
// something else.
boost::asio::awaitable<void> let_client_in(VncPeer client);

// What a VNC server's challenge is answered with: DES, the password as key with the bits of each
// byte in reverse (RFC 6143, 7.2.2 and errata).
std::array<uint8_t, 16> vnc_response(const std::array<uint8_t, 16>& challenge,
                                     const std::string& password);

}  // namespace appliance::api
