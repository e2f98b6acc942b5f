// How far something is, for people, on standard error. The classes are not thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace base {

struct Progress {
  uint64_t done = 0;
  uint64_t total = 0;  // 0: not known
};

// A line of the terminal that is written over. Shows nothing where standard error is no terminal.
class TerminalLine {
 public:
  TerminalLine();
  ~TerminalLine() { clear(); }
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  void show(const std::string& text);  // printable
  // "checking 45 %"; nothing while the total is not known.
  void show(const std::string& what, const Progress& progress);
  void clear();

 private:
  const bool is_terminal_;
  std::string shown_;  // empty: the line is clear
};

enum class ProgressStyle { none, lines, bar };

// A bar if standard error is a terminal, else lines.
ProgressStyle progress_style_of_standard_error();

// A copy of bytes: a bar on a terminal, which stays when it is done, or a plain line now and then.
class ProgressPrinter {
 public:
  ProgressPrinter(std::string title, ProgressStyle style);
  ~ProgressPrinter();  // ends the bar's line
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void show(const Progress& bytes);

 private:
  const std::string title_;
  const ProgressStyle style_;
  const uint64_t begin_ms_;
  uint64_t next_line_ms_;
  bool bar_shown_ = false;
};

// "62 %, 1.2 GiB of 2.0 GiB, 210.0 MiB/s, 3 min 20 s left"
std::string progress_text(const Progress& bytes, uint64_t elapsed_ms);

}  // namespace base
