#include "base/repeated_log.h"

#include <spdlog/spdlog.h>

#include "base/log.h"
#include "base/text.h"

namespace base {
namespace {

std::string duration_text(RepeatedLog::Clock::duration duration) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return format_duration_ms(static_cast<uint64_t>(seconds.count()) * 1000);
}

}  // namespace

void RepeatedLog::say(const std::string& sentence, bool is_problem, Clock::time_point now) {
  auto level = is_problem ? spdlog::level::warn : spdlog::level::info;
  auto known = said_.find(sentence);
  if (known == said_.end()) {
    if (said_.size() >= kMaxSentences) {
      ++left_out_;
      return;
    }
    said_.emplace(sentence, Said{is_problem, now, now, now, 1});
    log().log(level, "{}", sentence);
    return;
  }
  Said& said = known->second;
  said.last = now;
  ++said.count;
  if (now - said.told < kRemindEvery) return;
  said.told = now;
  log().log(level, "{} (still so after {}; {} times)", sentence, duration_text(now - said.begun),
            said.count);
}

void RepeatedLog::end_round(Clock::time_point now) { end_those_quiet_since(now - kOverAfter); }

void RepeatedLog::solved(Clock::time_point now) { end_those_quiet_since(now); }

void RepeatedLog::end_those_quiet_since(Clock::time_point time) {
  for (auto each = said_.begin(); each != said_.end();) {
    const Said& said = each->second;
    if (said.last > time) {
      ++each;
      continue;
    }
    if (said.is_problem || said.count > 1) {
      log().info("over after {}, {} {}: {}", duration_text(said.last - said.begun), said.count,
                 said.count == 1 ? "time" : "times", each->first);
    }
    each = said_.erase(each);
  }
  if (left_out_ > 0 && said_.size() < kMaxSentences) {
    log().warn("{} messages about other problems were left out of the log", left_out_);
    left_out_ = 0;
  }
}

}  // namespace base
