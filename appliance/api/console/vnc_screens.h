// VMs' screens over WebSockets: bytes of VNC in binary messages, both ways.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace appliance::api {

class Takeover;

// Where QEMU serves a VM's screen.
struct VncAddress {
  std::string host;
  uint16_t port = 0;
  std::string password;  // a secret
};

class VncLoginQueues;

// Thread-safe. What it gives out may outlive it.
class VncScreens {
 public:
  VncScreens();

  // What joins one connection to the VM's screen: connects to the VM, answers the upgrade, and
  // serves until one side ends, the client stays silent for a minute (it is pinged), or does not
  // take what is sent to it for so long. At most a block of 64 KiB is under way in each direction.
  std::shared_ptr<Takeover> open(const VncAddress& address) const;

 private:
  std::shared_ptr<VncLoginQueues> queues_;
};

}  // namespace appliance::api
