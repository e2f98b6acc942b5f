// Asks a guest over the network whether a service answers. A connection alone proves nothing:
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
    tcp,   // sends its greeting by itself (SSH, SMTP), or at least keeps the connection open for a
           // second
    http,  // answers GET with any status below 500
  };
  Kind kind = Kind::http;
  uint16_t port = 80;
  std::string path = "/";
};

struct Answer {
  bool answered = false;
  std::string detail;  // "HTTP 200", "SSH-2.0-…", or why not
};

// Makes a TCP socket over IPv4, not yet connected: it decides from which network is asked
// (guest_network.h).
using OpenSocket = std::function<base::UniqueFd()>;

// All at the same time; the answers in the order of `services`. Throws invalid_argument if
// `address` is none of IPv4, and what `open` throws.
std::vector<Answer> ask_all(const std::string& address, const std::vector<Service>& services,
                            std::chrono::milliseconds timeout, const OpenSocket& open);

// Asks without waiting: answers come on one thread for all questions, so that many silent guests
// cost neither threads nor each other's time. Thread-safe.
class Asker {
 public:
  Asker();
  ~Asker();  // questions that are under way are dropped: their futures throw std::future_error
  // Throws as ask_all().
  std::future<Answer> ask(const std::string& address, const Service& service,
                          std::chrono::milliseconds timeout, const OpenSocket& open);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace appliance::boot
