// The ways by which people are told of alerts: a command, and a webhook. Each has a queue and a
// thread of its own, so that one that hangs keeps neither the other nor the alerts waiting. What
// could not be told is tried again, after 10 s, then twice as long each time, at most 10 minutes,
// for a day. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::alerts {

struct ChannelSettings {
  std::string command;  // started with KIND STATE SUBJECT MESSAGE; empty: none
  std::string webhook;  // a URL that gets JSON by POST; empty: none
};

struct Message {
  catalog::Alert alert;
  std::string state;  // "opened", "closed" or "test"
};

struct ChannelTrouble {
  std::string channel;    // "command" or "webhook"
  uint64_t since_ms = 0;  // UTC; of the first of the failures in a row
  std::string error;      // of the newest
  size_t waiting_count = 0;
  uint64_t dropped_count = 0;  // since the daemon began: too old, or too many waited
};

struct ChannelTest {
  std::string channel;
  std::string error;  // empty: it was told
};

struct ChannelLimits {
  size_t queue_size = 1000;  // then the oldest is dropped
  std::chrono::milliseconds first_pause{10'000}, longest_pause{600'000};
  std::chrono::hours patience{24};  // with one message
};

class AlertChannels {
 public:
  using Deliver = std::function<void(const Message&)>;  // throws when it could not

  explicit AlertChannels(const ChannelSettings& settings, const ChannelLimits& limits = {});
  ~AlertChannels();  // what waits is dropped: alerts are in the catalog

  // For tests, and for channels to come: before anything is told.
  void add(const std::string& name, Deliver deliver);

  // Never waits.
  void tell(const catalog::Alert& alert, AlertChange change);
  // Those whose newest attempt failed.
  std::vector<ChannelTrouble> troubles();
  // Tells a test by every channel, now and on the caller's thread; at most half a minute each.
  std::vector<ChannelTest> test();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Message message;
    Clock::time_point since;
  };
  struct State {
    std::deque<Waiting> queue;
    uint64_t failing_since_ms = 0;  // 0: it does not fail
    std::string error;
    uint64_t dropped_count = 0;
    bool stopping = false;
  };
  struct Channel {
    std::string name;
    Deliver deliver;
    base::Guarded<State> state;
    std::condition_variable changed;  // with state
    base::GuardedThread thread;
  };

  void run(Channel& channel) const;
  static std::string try_to_deliver(Channel& channel, const Message& message);

  const ChannelLimits limits_;
  std::list<Channel> channels_;
};

}  // namespace appliance::alerts
