#include "agent/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/text.h"

namespace agent {
namespace {

constexpr uint64_t kFirstLineMs = 2'000;
constexpr uint64_t kLineIntervalMs = 10'000;
constexpr int kDefaultColumns = 80;
constexpr int kMaxBarColumns = 40;

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

double share_done(const images::CopyProgress& progress) {
  if (progress.bytes_total == 0) return 1;
  return static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total);
}

}  // namespace

ProgressStyle progress_style_of_standard_error() {
  return ::isatty(STDERR_FILENO) == 1 ? ProgressStyle::bar : ProgressStyle::lines;
}

ProgressPrinter::ProgressPrinter(std::string title, ProgressStyle style)
    : title_(std::move(title)), style_(style), begin_ms_(base::steady_ms()),
      next_line_ms_(begin_ms_ + kFirstLineMs) {}

ProgressPrinter::~ProgressPrinter() {
  if (bar_shown_) fmt::print(stderr, "\n");
}

// "62 %, 1.2 GiB of 2.0 GiB, 210.0 MiB/s, 3 min 20 s left"
std::string ProgressPrinter::text(const images::CopyProgress& progress, uint64_t elapsed_ms) const {
  double seconds = std::max(static_cast<double>(elapsed_ms) / 1000, 0.001);
  double rate = static_cast<double>(progress.bytes_done) / seconds;
  std::string text =
      fmt::format("{:3.0f} %, {} of {}, {}/s", share_done(progress) * 100,
                  base::format_size(progress.bytes_done), base::format_size(progress.bytes_total),
                  base::format_size(static_cast<uint64_t>(rate)));
  uint64_t left = progress.bytes_total - progress.bytes_done;
  if (left > 0 && rate > 0) {
    text +=
        ", " +
        base::format_duration_ms(static_cast<uint64_t>(static_cast<double>(left) / rate * 1000)) +
        " left";
  }
  return text;
}

void ProgressPrinter::show(const images::CopyProgress& progress) {
  uint64_t now = base::steady_ms();
  bool at_end = progress.bytes_done == progress.bytes_total;
  std::string figures = text(progress, now - begin_ms_);
  if (style_ == ProgressStyle::lines && now >= next_line_ms_ && !at_end) {
    fmt::print(stderr, "{}: {}\n", title_, figures);
    next_line_ms_ = now + kLineIntervalMs;
  }
  if (style_ != ProgressStyle::bar) return;
  int room = terminal_columns() - static_cast<int>(title_.size() + figures.size()) - 6;
  std::string bar;
  if (room >= 10) {
    int columns = std::min(room, kMaxBarColumns);
    int filled = static_cast<int>(share_done(progress) * columns);
    bar = " [" + std::string(static_cast<size_t>(filled), '#') +
          std::string(static_cast<size_t>(columns - filled), ' ') + "]";
  }
  fmt::print(stderr, "\r{}{} {}\033[K", title_, bar, figures);
  std::fflush(stderr);
  bar_shown_ = true;
}

}  // namespace agent
