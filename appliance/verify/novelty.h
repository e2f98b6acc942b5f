// Whether a guest shows or does anything new: a start that goes on does, and one that waits, or goes
// around in circles, repeats itself. A clock, a counter, a spinner, a message that comes again and
// the few bytes that an idle system writes are nothing new. What is remembered is bounded. Not
// thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "appliance/verify/picture.h"

namespace appliance::verify {

class Novelty {
 public:
  // What the serial console printed: whether a line is new, apart from words with digits.
  bool is_new_on_serial(std::string_view piece);
  // A picture and the text read from it.
  bool is_new_on_screen(const Picture& picture, std::string_view text);
  // All that the disks have read and written, in bytes, at `now_ms`: whether it was a mebibyte
  // within half a minute.
  bool is_new_on_disks(uint64_t sum, uint64_t now_ms);
  // The guest restarted itself: what it shows again is new.
  void forget();

 private:
  bool remember(std::set<uint64_t>& known, std::string_view bytes);

  std::set<uint64_t> lines_, screens_;
  std::string line_;  // of the serial console, without its end
  // New screens since something else was new: animations show new pictures for ever.
  uint32_t screen_count_ = 0;
  uint64_t window_begin_ms_ = 0, window_sum_ = 0;
};

}  // namespace appliance::verify
