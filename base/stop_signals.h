// SIGINT, SIGTERM and SIGHUP as a request to stop. The functions are thread-safe.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "base/unique_fd.h"

namespace base {

// What a second SIGINT or SIGTERM does. A second SIGHUP does nothing: a terminal that goes away
// sends more than one.
enum class SecondSignal {
  ends_program,  // at once, with status 130: for commands that a person waits for
  does_nothing,  // for a service that always ends in order
};

// Create one early in main(), before any thread is started: it blocks the three signals for all
// threads started later. One object per process.
class StopSignals {
 public:
  explicit StopSignals(SecondSignal second = SecondSignal::ends_program);
  ~StopSignals();

  std::stop_token token() const { return source_.get_token(); }
  // Waits for the first signal, and returns its number.
  int wait() const;

 private:
  void watch();

  const SecondSignal second_;
  std::stop_source source_;
  std::atomic<int> first_ = 0;
  UniqueFd signals_;
  UniqueFd end_;
  std::thread watcher_;
};

}  // namespace base
