// "importing 45 %" on a terminal's standard error, overwriting itself; nothing elsewhere. One
// thread at a time.
#pragma once

#include <cstdint>
#include <string>

namespace appliance::cli {

class TerminalProgress {
 public:
  explicit TerminalProgress(std::string what);
  ~TerminalProgress() { clear(); }
  TerminalProgress(const TerminalProgress&) = delete;
  TerminalProgress& operator=(const TerminalProgress&) = delete;

  void show(uint64_t done, uint64_t total);
  void clear();

 private:
  const std::string what_;
  const bool is_terminal_;
  int shown_percent_ = -1;
};

}  // namespace appliance::cli
