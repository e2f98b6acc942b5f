// Probes over the network whether a guest's service answers. A connection alone proves nothing:
// forwarders accept before the guest listens. Functions; thread-safe, each blocks its caller until
// its deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace appliance::boot {

struct Service {
  enum class Kind {
    // Sends a greeting by itself (SSH, SMTP), or at least keeps the connection open for a second.
    tcp,
    http,  // answers GET with any status below 500
  };
  Kind kind = Kind::http;
  uint16_t port = 80;
  std::string path = "/";
};

struct ServiceAnswer {
  bool answered = false;
  std::string detail;  // "HTTP 200", "SSH-2.0-…", or why not
};

// Creates a TCP socket over IPv4, not yet connected: it decides from which network the probe is
// made (guest_network.h).
using OpenSocket = std::function<base::UniqueFd()>;

// All at the same time; the answers are in the order of `services`. Throws invalid_argument if
// `address` is not an IPv4 address, and what `open` throws.
std::vector<ServiceAnswer> ask_all(const std::string& address, const std::vector<Service>& services,
                                   std::chrono::milliseconds timeout, const OpenSocket& open);

// Probes without waiting: answers arrive on one thread for all probes, so that many silent guests
// cost neither threads nor each other's time. Thread-safe.
class Asker {
 public:
  Asker();
  ~Asker();  // running probes are dropped: their futures throw std::future_error
  // Throws as ask_all().
  std::future<ServiceAnswer> ask(const std::string& address, const Service& service,
                                 std::chrono::milliseconds timeout, const OpenSocket& open);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace appliance::boot
