// The log of a loop that meets the same problem in every iteration: one line when the problem
// begins, one an hour while it lasts, one when it is over. Without this, a night without libvirt is
// ten thousand lines, in which nobody finds the one that matters. Not thread-safe.
//
//   while (…) {
//     try { … } catch (const Error& error) { log_.warn(error.message()); }
//     log_.end_round();
//   }
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace base {

class RepeatedLog {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::hours kRemindEvery{1};
  // A problem is over when it has not occurred for this long; one that returns earlier was never
  // over.
  static constexpr std::chrono::seconds kOverAfter{15};
  // How many messages are tracked at a time. Further new ones are left out until some are over, and
  // their number is logged.
  static constexpr size_t kMaxSentences = 100;

  void warn(const std::string& sentence, Clock::time_point now = Clock::now()) {
    say(sentence, true, now);
  }
  // For events rather than problems: the end is logged only if the event was repeated.
  void info(const std::string& sentence, Clock::time_point now = Clock::now()) {
    say(sentence, false, now);
  }
  // Everything is over now: for a loop that has no further iterations for a while.
  void solved(Clock::time_point now = Clock::now());
  // To be called in each iteration, whatever happened in it.
  void end_round(Clock::time_point now = Clock::now());

 private:
  struct Said {
    bool is_problem = false;
    Clock::time_point begun, told, last;
    uint64_t count = 0;  // since it began
  };

  void say(const std::string& sentence, bool is_problem, Clock::time_point now);
  void end_those_quiet_since(Clock::time_point time);

  std::map<std::string, Said> said_;
  uint64_t left_out_ = 0;
};

}  // namespace base
