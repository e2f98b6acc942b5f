#include "restore/progress_display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.h"

namespace restore {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr uint64_t kBarWidth = 30;

}  // namespace

ProgressDisplay::ProgressDisplay(std::string what)
    : what_(std::move(what)), is_terminal_(::isatty(STDERR_FILENO) != 0), begin_(Clock::now()),
      shown_(begin_) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_) fmt::print(stderr, "\n");
}

void ProgressDisplay::show(const CopyProgress& progress) {
  auto now = Clock::now();
  if (!is_terminal_ && now - shown_ < kLineInterval) return;
  shown_ = now;
  uint64_t total = progress.bytes_total == 0 ? 1 : progress.bytes_total;
  uint64_t percent = progress.bytes_done / (total / 100 + 1);
  if (progress.bytes_done >= progress.bytes_total) percent = 100;
  double seconds = std::chrono::duration<double>(now - begin_).count();
  auto speed = static_cast<uint64_t>(static_cast<double>(progress.bytes_done) /
                                     (seconds > 0.001 ? seconds : 0.001));
  std::string figures =
      fmt::format("{:3} %  {} of {}, {}/s", percent, base::format_size(progress.bytes_done),
                  base::format_size(progress.bytes_total), base::format_size(speed));
  if (!is_terminal_) {
    fmt::print(stderr, "{}: {}\n", what_, figures);
    return;
  }
  std::string bar(percent * kBarWidth / 100, '#');
  fmt::print(stderr, "\r{} [{:<{}}] {}\033[K", what_, bar, kBarWidth, figures);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace restore
