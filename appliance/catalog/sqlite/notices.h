// Channels and waiting notices in SQLite. Contract: notice_records.h.
#pragma once

#include "appliance/catalog/notice_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteNoticeRecords : public virtual NoticeRecords {
 public:
  // `database` outlives it.
  explicit SqliteNoticeRecords(Connection& database) : database_(database) {}

  void add_channel(const ChannelRow& channel) override;
  std::vector<ChannelRow> channels() override;
  void delete_channel(std::string_view name) override;
  std::vector<AlertStepRow> next_steps(uint32_t limit) override;
  std::vector<Alert> unanswered_alerts(std::string_view channel, std::string_view state,
                                       uint64_t opened_before_ms, uint64_t now_ms,
                                       uint32_t limit) override;
  std::vector<Alert> silences_over(uint64_t now_ms, uint32_t limit) override;
  void hand_out(const HandOut& what) override;
  bool was_reminded(const ReminderRow& reminder) override;
  std::optional<NoticeRow> next_notice(std::string_view channel, uint64_t now_ms) override;
  std::vector<NoticeRow> waiting_notices(std::string_view channel, int64_t alert) override;
  void remove_notice(int64_t id) override;
  void postpone_notice(int64_t id, uint32_t attempt_count, uint64_t due_ms) override;
  QueueFigures queue_of(std::string_view channel) override;
  uint64_t shorten_queue(std::string_view channel, uint32_t keep) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
