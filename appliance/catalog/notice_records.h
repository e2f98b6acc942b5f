// The channels that people are notified by, and what waits to be sent. An alert's change is recorded
// with the alert itself, then handed out to the channels that want it, and stays until each of them
// has sent it: so a notice survives a restart at any instant. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

// A channel that was made through the API. Those of the settings file have no row.
struct ChannelRow {
  std::string name;      // unique
  std::string settings;  // JSON (notices/channel_spec.h), secrets included
  uint64_t created_ms = 0;
};

enum class AlertStep { opened, closed };

// A change of an alert that was not handed out yet.
struct AlertStepRow {
  int64_t id = 0;  // ascending
  AlertStep step = AlertStep::opened;
  Alert alert;  // as it is now
};

// What waits for one channel.
struct NoticeRow {
  int64_t id = 0;  // ascending; 0: not in the catalog yet
  std::string channel;
  std::string notice;  // the notice's own id, the same at each attempt and in each channel
  int64_t alert = 0;
  std::string state;  // "opened", "closed", …
  std::string body;   // JSON: what is sent
  uint64_t added_ms = 0;
  uint64_t due_ms = 0;  // not sent before
  uint32_t attempt_count = 0;
};

// That a channel was told that nobody acknowledges an alert, or that a silence is over: once.
struct ReminderRow {
  std::string channel;
  int64_t alert = 0;
  std::string state;  // "escalated", "reminded"
};

// What becomes of a change, all or nothing.
struct HandOut {
  std::vector<int64_t> steps;      // done with
  std::vector<NoticeRow> notices;  // one that the channel already has is ignored
  std::vector<ReminderRow> reminders;
  std::vector<int64_t> withdrawn;       // notices that need not be sent any more
  std::vector<int64_t> ended_silences;  // alerts whose silence is over and was dealt with
};

struct QueueFigures {
  size_t waiting_count = 0;
  uint64_t oldest_ms = 0;  // 0: nothing waits
};

class NoticeRecords {
 public:
  virtual ~NoticeRecords() = default;

  // Throws already_exists.
  virtual void add_channel(const ChannelRow& channel) = 0;
  virtual std::vector<ChannelRow> channels() = 0;  // by name
  // With everything that waits for it. Throws not_found.
  virtual void delete_channel(std::string_view name) = 0;

  virtual std::vector<AlertStepRow> next_steps(uint32_t limit) = 0;  // oldest first
  // Open, not acknowledged, not silenced at `now_ms`, opened before `opened_before_ms`, and the
  // channel was not told so in this state.
  virtual std::vector<Alert> unanswered_alerts(std::string_view channel, std::string_view state,
                                               uint64_t opened_before_ms, uint64_t now_ms,
                                               uint32_t limit) = 0;
  // Open, not acknowledged, and the silence over them ended before `now_ms`.
  virtual std::vector<Alert> silences_over(uint64_t now_ms, uint32_t limit) = 0;
  virtual void hand_out(const HandOut& what) = 0;
  virtual bool was_reminded(const ReminderRow& reminder) = 0;

  // The oldest one of the channel that is due.
  virtual std::optional<NoticeRow> next_notice(std::string_view channel, uint64_t now_ms) = 0;
  // Those of one alert that wait for the channel, oldest first.
  virtual std::vector<NoticeRow> waiting_notices(std::string_view channel, int64_t alert) = 0;
  virtual void remove_notice(int64_t id) = 0;  // sent, or given up; one that is gone is no error
  virtual void postpone_notice(int64_t id, uint32_t attempt_count, uint64_t due_ms) = 0;
  virtual QueueFigures queue_of(std::string_view channel) = 0;
  // Keeps the newest `keep`; returns how many were dropped.
  virtual uint64_t shorten_queue(std::string_view channel, uint32_t keep) = 0;
};

}  // namespace appliance::catalog
