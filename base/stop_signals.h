// SIGINT and SIGTERM as a stop token. The first one requests a stop; the second one ends the
// program at once, with status 130.
#pragma once

#include <stop_token>
#include <thread>

#include "base/unique_fd.h"

namespace base {

// Create one early in main(), before any thread is started: it blocks the two signals for all
// threads started later. One object per process.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  std::stop_token token() const { return source_.get_token(); }

 private:
  void wait();

  std::stop_source source_;
  UniqueFd signals_;
  UniqueFd end_;
  std::thread waiter_;
};

}  // namespace base
