// The log of a loop that meets the same trouble in every round: one line when it begins, one an
// hour while it lasts, one when it is over. Without it a night without libvirt is ten thousand
// lines, in which nobody finds the one that matters. Not thread-safe.
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
  // Trouble that stays away so long is over; what comes back earlier was never gone.
  static constexpr std::chrono::seconds kOverAfter{15};
  // Sentences that are followed at a time. More new ones are left out until some are over, and how
  // many were is told.
  static constexpr size_t kMaxSentences = 100;

  void warn(const std::string& sentence, Clock::time_point now = Clock::now()) {
    say(sentence, true, now);
  }
  // For what happened, rather than what is wrong: its end is told only if it had been repeated.
  void info(const std::string& sentence, Clock::time_point now = Clock::now()) {
    say(sentence, false, now);
  }
  // All of it is over at this moment: for a loop that has no further rounds then.
  void solved(Clock::time_point now = Clock::now());
  // To be called in each round, whatever came in it.
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
