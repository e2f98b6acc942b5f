#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/text.h"

namespace base {
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

double share_done(const Progress& progress) {
  if (progress.total == 0) return 1;
  return static_cast<double>(progress.done) / static_cast<double>(progress.total);
}

}  // namespace

TerminalLine::TerminalLine() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

void TerminalLine::show(const std::string& text) {
  if (!is_terminal_ || text == shown_) return;
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
  shown_ = text;
}

void TerminalLine::show(const std::string& what, const Progress& progress) {
  if (progress.total == 0) return;
  show(fmt::format("{} {} %", what, static_cast<int>(100 * share_done(progress))));
}

void TerminalLine::clear() {
  if (!shown_.empty()) fmt::print(stderr, "\r\033[K");
  shown_.clear();
}

ProgressStyle progress_style_of_standard_error() {
  return ::isatty(STDERR_FILENO) == 1 ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string progress_text(const Progress& bytes, uint64_t elapsed_ms) {
  double seconds = std::max(static_cast<double>(elapsed_ms) / 1000, 0.001);
  double rate = static_cast<double>(bytes.done) / seconds;
  std::string text =
      fmt::format("{:3.0f} %, {} of {}, {}/s", share_done(bytes) * 100, format_size(bytes.done),
                  format_size(bytes.total), format_size(static_cast<uint64_t>(rate)));
  if (bytes.total > bytes.done && rate > 0) {
    double left_ms = static_cast<double>(bytes.total - bytes.done) / rate * 1000;
    text += ", " + format_duration_ms(static_cast<uint64_t>(left_ms)) + " left";
  }
  return text;
}

ProgressPrinter::ProgressPrinter(std::string title, ProgressStyle style)
    : title_(std::move(title)), style_(style), begin_ms_(steady_ms()),
      next_line_ms_(begin_ms_ + kFirstLineMs) {}

ProgressPrinter::~ProgressPrinter() {
  if (bar_shown_) fmt::print(stderr, "\n");
}

void ProgressPrinter::show(const Progress& bytes) {
  uint64_t now = steady_ms();
  bool at_end = bytes.done == bytes.total;
  std::string figures = progress_text(bytes, now - begin_ms_);
  if (style_ == ProgressStyle::lines && now >= next_line_ms_ && !at_end) {
    fmt::print(stderr, "{}: {}\n", title_, figures);
    next_line_ms_ = now + kLineIntervalMs;
  }
  if (style_ != ProgressStyle::bar) return;
  int room = terminal_columns() - static_cast<int>(title_.size() + figures.size()) - 6;
  std::string bar;
  if (room >= 10) {
    int columns = std::min(room, kMaxBarColumns);
    int filled = static_cast<int>(share_done(bytes) * columns);
    bar = " [" + std::string(static_cast<size_t>(filled), '#') +
          std::string(static_cast<size_t>(columns - filled), ' ') + "]";
  }
  fmt::print(stderr, "\r{}{} {}\033[K", title_, bar, figures);
  std::fflush(stderr);
  bar_shown_ = true;
}

}  // namespace base
