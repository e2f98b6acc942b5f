// The newest part of a guest's serial log during a test boot: what is kept as evidence, and what
// was written since the last restart, which is what gets interpreted. A value; not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace appliance::verify {

class SerialTail {
 public:
  using Clock = std::chrono::steady_clock;

  // Where the log has to be read next: bytes from its beginning. A log that is smaller than that
  // was started anew.
  uint64_t offset_within(uint64_t log_size);

  // `piece` was read at the offset.
  void add(std::string_view piece, Clock::time_point read);

  // The guest restarted at `time`: what was written before it, as far as the times of the reads
  // show, is no longer interpreted.
  void restart(Clock::time_point time);

  // What has to be interpreted: the end of what was written since the last restart. Nothing, if
  // that is the same as at the last call. Valid until the next add().
  std::optional<std::string_view> take_news();

  // The last bytes of the whole log, as evidence.
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  uint64_t end_ = 0;     // total size read; text_ is its end
  uint64_t offset_ = 0;  // in the log's file
  uint64_t begin_ = 0;   // of what was written since the last restart
  uint64_t taken_ = 0, taken_from_ = 0;
  std::deque<std::pair<Clock::time_point, uint64_t>> reads_;  // when, and the size then
};

}  // namespace appliance::verify
