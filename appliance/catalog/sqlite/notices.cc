#include "appliance/catalog/sqlite/notices.h"

#include <fmt/format.h>

#include "appliance/catalog/sqlite/alerts.h"
#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::string_view kNoticeColumns =
    "id, channel, notice, alert, state, body, added_ms, due_ms, attempts";

NoticeRow read_notice(Statement& row) {
  NoticeRow notice;
  notice.id = row.integer(0);
  notice.channel = row.text(1);
  notice.notice = row.text(2);
  notice.alert = row.integer(3);
  notice.state = row.text(4);
  notice.body = row.text(5);
  notice.added_ms = row.natural(6);
  notice.due_ms = row.natural(7);
  notice.attempt_count = static_cast<uint32_t>(row.natural(8));
  return notice;
}

std::vector<Alert> read_alerts(Statement& statement) {
  std::vector<Alert> alerts;
  while (statement.step()) alerts.push_back(read_alert(statement));
  return alerts;
}

}  // namespace

void SqliteNoticeRecords::add_channel(const ChannelRow& channel) {
  auto database = database_.lock();
  (*database)
      ->insert_if_absent("channels", {"name"}, {"settings", "created_ms"})
      .bind(channel.name, channel.settings, channel.created_ms)
      .run();
  if ((*database)->changed_rows() > 0) return;
  throw Error(ErrorCode::already_exists,
              fmt::format("there is a channel '{}' already; delete it first", channel.name));
}

std::vector<ChannelRow> SqliteNoticeRecords::channels() {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT name, settings, created_ms FROM channels ORDER BY name");
  std::vector<ChannelRow> channels;
  while (statement.step())
    channels.push_back({statement.text(0), statement.text(1), statement.natural(2)});
  return channels;
}

void SqliteNoticeRecords::delete_channel(std::string_view name) {
  auto database = database_.lock();
  Transaction transaction(**database);
  (*database)->prepare("DELETE FROM channels WHERE name = ?").bind(name).run();
  if ((*database)->changed_rows() == 0)
    throw Error(ErrorCode::not_found, fmt::format("there is no channel '{}'", name));
  (*database)->prepare("DELETE FROM notices WHERE channel = ?").bind(name).run();
  (*database)->prepare("DELETE FROM reminders WHERE channel = ?").bind(name).run();
  transaction.commit();
}

std::vector<AlertStepRow> SqliteNoticeRecords::next_steps(uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("SELECT {}, n.id, n.step FROM {} JOIN alert_steps n ON n.alert = a.id ORDER BY "
                  "n.id LIMIT ?",
                  kAlertColumns, kAlertTables));
  statement.bind(limit);
  constexpr int kAfterAlert = 14;
  std::vector<AlertStepRow> steps;
  while (statement.step()) {
    AlertStep step =
        statement.text(kAfterAlert + 1) == "opened" ? AlertStep::opened : AlertStep::closed;
    steps.push_back({statement.integer(kAfterAlert), step, read_alert(statement)});
  }
  return steps;
}

std::vector<Alert> SqliteNoticeRecords::unanswered_alerts(std::string_view channel,
                                                          std::string_view state,
                                                          uint64_t opened_before_ms,
                                                          uint64_t now_ms, uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "SELECT {} FROM {} WHERE a.closed_ms IS NULL AND a.acknowledged_ms IS NULL AND "
      "a.opened_ms < ?3 AND (s.until_ms IS NULL OR s.until_ms <= ?4) AND NOT EXISTS "
      "(SELECT 1 FROM reminders r WHERE r.channel = ?1 AND r.alert = a.id AND r.state = "
      "?2) ORDER BY a.id LIMIT ?5",
      kAlertColumns, kAlertTables));
  statement.bind(channel, state, opened_before_ms, now_ms, limit);
  return read_alerts(statement);
}

std::vector<Alert> SqliteNoticeRecords::silences_over(uint64_t now_ms, uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("SELECT {} FROM {} WHERE a.closed_ms IS NULL AND a.acknowledged_ms IS NULL AND "
                  "s.until_ms <= ? ORDER BY a.id LIMIT ?",
                  kAlertColumns, kAlertTables));
  statement.bind(now_ms, limit);
  return read_alerts(statement);
}

void SqliteNoticeRecords::hand_out(const HandOut& what) {
  auto database = database_.lock();
  Transaction transaction(**database);
  for (const NoticeRow& each : what.notices) {
    (*database)
        ->insert_if_absent("notices", {"channel", "notice"},
                           {"alert", "state", "body", "added_ms", "due_ms"})
        .bind(each.channel, each.notice, each.alert, each.state, each.body, each.added_ms,
              each.due_ms)
        .run();
  }
  for (const ReminderRow& each : what.reminders) {
    (*database)
        ->prepare(
            "INSERT INTO reminders(channel, alert, state) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(each.channel, each.alert, each.state)
        .run();
  }
  for (int64_t id : what.steps)
    (*database)->prepare("DELETE FROM alert_steps WHERE id = ?").bind(id).run();
  for (int64_t id : what.withdrawn)
    (*database)->prepare("DELETE FROM notices WHERE id = ?").bind(id).run();
  for (int64_t id : what.ended_silences) {
    (*database)
        ->prepare(
            "DELETE FROM silences WHERE EXISTS (SELECT 1 FROM alerts a WHERE a.id = ? AND a.tenant "
            "= "
            "silences.tenant AND a.kind = silences.kind AND a.subject = silences.subject)")
        .bind(id)
        .run();
  }
  transaction.commit();
}

bool SqliteNoticeRecords::was_reminded(const ReminderRow& reminder) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT 1 FROM reminders WHERE channel = ? AND alert = ? AND state = ?");
  statement.bind(reminder.channel, reminder.alert, reminder.state);
  return statement.step();
}

std::optional<NoticeRow> SqliteNoticeRecords::next_notice(std::string_view channel,
                                                          uint64_t now_ms) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "SELECT {} FROM notices WHERE channel = ? AND due_ms <= ? ORDER BY attempts > 4, id LIMIT 1",
      kNoticeColumns));
  statement.bind(channel, now_ms);
  if (!statement.step()) return std::nullopt;
  return read_notice(statement);
}

std::vector<NoticeRow> SqliteNoticeRecords::waiting_notices(std::string_view channel,
                                                            int64_t alert) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "SELECT {} FROM notices WHERE channel = ? AND alert = ? ORDER BY id", kNoticeColumns));
  statement.bind(channel, alert);
  std::vector<NoticeRow> notices;
  while (statement.step()) notices.push_back(read_notice(statement));
  return notices;
}

void SqliteNoticeRecords::remove_notice(int64_t id) {
  (*database_.lock())->prepare("DELETE FROM notices WHERE id = ?").bind(id).run();
}

void SqliteNoticeRecords::postpone_notice(int64_t id, uint32_t attempt_count, uint64_t due_ms) {
  (*database_.lock())
      ->prepare("UPDATE notices SET attempts = ?, due_ms = ? WHERE id = ?")
      .bind(attempt_count, due_ms, id)
      .run();
}

QueueFigures SqliteNoticeRecords::queue_of(std::string_view channel) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT count(*), coalesce(min(added_ms), 0) FROM notices WHERE channel = ?");
  statement.bind(channel);
  statement.step();
  return {static_cast<size_t>(statement.natural(0)), statement.natural(1)};
}

uint64_t SqliteNoticeRecords::shorten_queue(std::string_view channel, uint32_t keep) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "DELETE FROM notices WHERE channel = ?1 AND id <= (SELECT id FROM notices WHERE channel "
          "= "
          "?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)")
      .bind(channel, keep)
      .run();
  return static_cast<uint64_t>((*database)->changed_rows());
}

}  // namespace appliance::catalog::sqlite
