// The progress of a copy, for people: a bar on a terminal, otherwise a plain line from time to
// time, on standard error. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "images/sync/sync_engine.h"

namespace agent {

enum class ProgressStyle { none, lines, bar };

// A bar if standard error is a terminal, otherwise lines.
ProgressStyle progress_style_of_standard_error();

class ProgressPrinter {
 public:
  ProgressPrinter(std::string title, ProgressStyle style);
  ~ProgressPrinter();  // ends the bar's line

  void show(const images::CopyProgress& progress);

 private:
  std::string text(const images::CopyProgress& progress, uint64_t elapsed_ms) const;

  std::string title_;
  ProgressStyle style_;
  uint64_t begin_ms_;
  uint64_t next_line_ms_;
  bool bar_shown_ = false;
};

}  // namespace agent
