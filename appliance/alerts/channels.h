// The channels that notify people of alerts: a command, and a webhook. Each has a queue and a
// thread of its own, so that one that hangs delays neither the other nor the alerts. A notification
// that fails is retried after 10 s, then after twice as long each time, at most 10 minutes, for a
// day. Thread-safe.
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
  uint64_t since_ms = 0;  // UTC; of the first failure in a row
  std::string error;      // of the newest failure
  size_t waiting_count = 0;
  uint64_t dropped_count = 0;  // since the daemon started: too old, or too many were waiting
};

struct ChannelTest {
  std::string channel;
  std::string error;  // empty: it was delivered
};

struct ChannelLimits {
  size_t queue_size = 1000;  // when full, the oldest is dropped
  std::chrono::milliseconds first_pause{10'000}, longest_pause{600'000};
  std::chrono::hours patience{24};  // how long one message is retried
};

class AlertChannels {
 public:
  using Deliver = std::function<void(const Message&)>;  // throws if it could not deliver it

  explicit AlertChannels(const ChannelSettings& settings, const ChannelLimits& limits = {});
  ~AlertChannels();  // messages still waiting are dropped: alerts are in the catalog

  // For tests, and for future channels: call it before the first notification.
  void add(const std::string& name, Deliver deliver);

  // Never blocks.
  void tell(const catalog::Alert& alert, AlertChange change);
  // Those whose newest attempt failed.
  std::vector<ChannelTrouble> troubles();
  // Sends a test through every channel, now and on the caller's thread; takes at most half a minute
  // for each.
  std::vector<ChannelTest> test();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Message message;
    Clock::time_point since;
  };
  struct State {
    std::deque<Waiting> queue;
    uint64_t failing_since_ms = 0;  // 0: it works
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
