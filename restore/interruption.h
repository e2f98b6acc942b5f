// SIGINT, SIGTERM and SIGHUP as a stop token. Create one in the main thread before any other thread
// exists; the signals are blocked in all of them, and one thread waits for them.
#pragma once

#include <stop_token>
#include <thread>

namespace restore {

class Interruption {
 public:
  Interruption();
  ~Interruption();
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread waiter_;
};

}  // namespace restore
