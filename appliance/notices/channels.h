// Notifies people of alerts. What changes in the catalog's alerts is handed out to the channels that
// want it, and waits in the catalog until it is sent: so a restart at any instant loses nothing. One
// that was sent when the daemon died, and could not be crossed off, is sent again with the same
// notice id. Each channel has a thread of its own, so that one that hangs delays neither the others
// nor the alerts. Thread-safe.
//
// A notification that fails is retried after 10 s, then after twice as long each time, at most 10
// minutes, for a day; from its fifth failure on, the next one goes first.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/notice_records.h"
#include "appliance/notices/channel_spec.h"
#include "appliance/notices/senders.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::notices {

struct ChannelLimits {
  uint32_t queue_size = 1000;  // when more wait, the oldest is dropped
  std::chrono::milliseconds first_pause{10'000}, longest_pause{600'000};
  std::chrono::hours patience{24};       // how long one notice is retried
  std::chrono::milliseconds look{1000};  // how often each thread looks for what is due
};

struct ChannelSettings {
  std::string command;  // of mulettod.toml: started with KIND STATE SUBJECT MESSAGE; empty: none
  std::string webhook;  // a URL that gets JSON by POST; empty: none
  SenderOptions sending{};
  std::string node;  // the appliance, in notices' ids
  // Empty: the appliance's duties are carried out. Heartbeats are only sent then.
  std::function<std::string()> trouble{};
};

struct ChannelStanding {
  std::string name;
  std::string kind;
  uint64_t failing_since_ms = 0;  // UTC; 0: the newest attempt worked, or there was none
  std::string error;              // of the newest attempt
  catalog::QueueFigures queue;
  uint64_t sent_count = 0, dropped_count = 0;  // since the daemon started
  uint64_t sent_ms = 0;                        // the last one; 0: none since then
};

struct ChannelTest {
  std::string channel;
  std::string error;  // empty: it was delivered
};

class Channels {
 public:
  // `records` outlives it. Channels of the catalog that cannot be read are an error in standings().
  Channels(catalog::NoticeRecords& records, ChannelSettings settings,
           const ChannelLimits& limits = {});
  // Running attempts end first, in half a minute at most.
  ~Channels();

  // Throws invalid_argument, already_exists, and busy for one more than kMaxChannels.
  void create(const nlohmann::json& text, uint64_t now_ms);
  void remove(const std::string& name);  // throws not_found
  // Without secrets, by name; those of mulettod.toml first.
  std::vector<nlohmann::json> list();

  // For tests: call it before the first notification.
  void add(const ChannelSpec& spec, Sender sender);

  // Hands out what has changed. Called every few seconds by one thread.
  void hand_out(uint64_t now_ms);
  // For an alert that the catalog cannot record: every channel is told from memory, once.
  void tell_at_once(const catalog::Alert& alert);

  std::vector<ChannelStanding> standings();
  // Sends a test, now and on the caller's thread; takes at most half a minute for each. Empty name:
  // through every channel. Throws not_found.
  std::vector<ChannelTest> test(const std::string& name);

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    std::deque<Notice> urgent;
    uint64_t failing_since_ms = 0;
    std::string error;
    uint64_t sent_count = 0, dropped_count = 0, sent_ms = 0;
    bool stopping = false;
  };
  struct Channel {
    ChannelSpec spec;
    nlohmann::json shown;
    Sender send;
    base::Guarded<State> state;
    std::condition_variable changed;  // with state
    std::atomic<bool> has_ended = false;
    base::GuardedThread thread;
  };
  using Pointer = std::shared_ptr<Channel>;

  void start(const Pointer& channel);
  static void request_stop(Channel& channel);
  std::vector<Pointer> all();
  // On a channel's thread.
  void run(Channel& channel, const std::stop_token& stop);
  bool send_next(Channel& channel, std::chrono::milliseconds& pause);
  void beat(Channel& channel);
  std::string attempt(Channel& channel, const Notice& notice);
  void put_off(Channel& channel, const catalog::NoticeRow& row);
  bool wait(Channel& channel, std::chrono::milliseconds duration);
  // Of hand_out().
  void hand_out_step(Channel& channel, const catalog::AlertStepRow& step, uint64_t now_ms,
                     catalog::HandOut& result);
  void add_notice(Channel& channel, const catalog::Alert& alert, const char* state, uint64_t now_ms,
                  catalog::HandOut& result);
  void remind(Channel& channel, uint64_t now_ms, catalog::HandOut& result);

  catalog::NoticeRecords& records_;
  const ChannelSettings settings_;
  const ChannelLimits limits_;
  base::Guarded<std::vector<Pointer>> channels_;
  base::Guarded<std::list<Pointer>> retired_;  // deleted ones, until their threads have ended
};

}  // namespace appliance::notices
