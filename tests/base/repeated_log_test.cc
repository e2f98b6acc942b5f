#include "base/repeated_log.h"

#include <spdlog/sinks/ostream_sink.h>

#include <catch2/catch.hpp>
#include <sstream>

#include "base/log.h"
#include "base/text.h"

namespace base {
namespace {

using namespace std::chrono_literals;

// What the process's log says meanwhile.
class Listener {
 public:
  Listener() : sink_(std::make_shared<spdlog::sinks::ostream_sink_st>(text_)) {
    sink_->set_pattern("%v");
    log().sinks().swap(others_);
    log().sinks().push_back(sink_);
  }
  ~Listener() { log().sinks().swap(others_); }

  std::vector<std::string> lines() {
    std::vector<std::string> lines = split(text_.str(), '\n');
    lines.pop_back();
    text_.str("");
    return lines;
  }

 private:
  std::ostringstream text_;
  spdlog::sink_ptr sink_;
  std::vector<spdlog::sink_ptr> others_;
};

}  // namespace

TEST_CASE("trouble in every round is told when it begins, every hour, and when it is over") {
  Listener listener;
  RepeatedLog repeated;
  RepeatedLog::Clock::time_point now{1h};
  int rounds = 0;
  for (auto end = now + 3h - 1s; now < end; now += 3s, ++rounds) {
    repeated.warn("libvirt is away", now);
    repeated.end_round(now);
  }
  std::vector<std::string> lines = listener.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "libvirt is away");
  CHECK(lines[1] == "libvirt is away (still so after 1 h 0 min; 1201 times)");
  repeated.end_round(now);
  CHECK(listener.lines().empty());  // it may come back at once
  repeated.end_round(now + 20s);
  lines = listener.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("over after 2 h 59 min"));
  CHECK(lines[0].ends_with(std::to_string(rounds) + " times: libvirt is away"));
  repeated.warn("libvirt is away", now + 30s);
  CHECK(listener.lines().size() == 1);  // that is news again
  repeated.solved(now + 30s);
  CHECK(listener.lines().size() == 1);
}

TEST_CASE("another trouble is told at once, and one that comes and goes is not told each time") {
  Listener listener;
  RepeatedLog repeated;
  RepeatedLog::Clock::time_point now{1h};
  for (int i = 0; i < 500; ++i, now += 3s) {
    if (i % 2 == 0) repeated.warn("libvirt is away", now);
    if (i == 100) repeated.warn("the disk is full", now);
    repeated.end_round(now);
  }
  std::vector<std::string> lines = listener.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[1] == "the disk is full");
  CHECK(lines[2] == "over after 0.00 s, 1 time: the disk is full");
}

TEST_CASE("an event is told each time, unless it comes in a row") {
  Listener listener;
  RepeatedLog repeated;
  RepeatedLog::Clock::time_point now{1h};
  for (int i = 0; i < 3; ++i, now += 10min) {
    repeated.info("the export had died; it runs again", now);
    repeated.end_round(now);
    repeated.end_round(now + 30s);
  }
  CHECK(listener.lines().size() == 3);
}

TEST_CASE("ever new sentences do not fill the memory or the log") {
  Listener listener;
  RepeatedLog repeated;
  RepeatedLog::Clock::time_point now{1h};
  for (int i = 0; i < 100000; ++i) repeated.warn("trouble " + std::to_string(i), now);
  CHECK(listener.lines().size() == RepeatedLog::kMaxSentences);
  repeated.end_round(now + 1min);
  CHECK(listener.lines().back() == "99900 messages about other problems were left out of the log");
}

}  // namespace base
