#include "appliance/cli/terminal_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace appliance::cli {

TerminalProgress::TerminalProgress(std::string what)
    : what_(std::move(what)), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

void TerminalProgress::show(uint64_t done, uint64_t total) {
  if (!is_terminal_ || total == 0) return;
  int percent = static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
  if (percent == shown_percent_) return;
  shown_percent_ = percent;
  fmt::print(stderr, "\r\033[K{} {} %", what_, percent);
}

void TerminalProgress::clear() {
  if (shown_percent_ >= 0) fmt::print(stderr, "\r\033[K");
  shown_percent_ = -1;
}

}  // namespace appliance::cli
