// Progress for people on standard error: a bar on a terminal, a line every few seconds elsewhere.
// One thread at a time.
#pragma once

#include <chrono>
#include <string>

#include "restore/raw_writer.h"

namespace restore {

class ProgressDisplay {
 public:
  explicit ProgressDisplay(std::string what);
  ~ProgressDisplay();  // ends the bar's line
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void show(const CopyProgress& progress);

 private:
  const std::string what_;
  const bool is_terminal_;
  const std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point shown_;
  bool drawn_ = false;
};

}  // namespace restore
