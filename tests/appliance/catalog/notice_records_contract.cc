// What every NoticeRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

TEST_CASE("records of channels and notices keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  Catalog* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);
  Alert late;
  late.tenant = tenant;
  late.kind = "machine-overdue";
  late.subject = "web";
  late.message = "no point for 2 h";
  late.opened_ms = 5;
  auto again = [&] {
    fresh->reopen();
    records = &fresh->get();
  };

  SECTION("a change waits until it is handed out") {
    records->open_alert(late);
    records->open_alert(late);
    records->close_alert(tenant, late.kind, "web", 7);
    again();
    auto steps = records->next_steps(10);
    REQUIRE(steps.size() == 2);
    CHECK(steps[0].step == AlertStep::opened);
    CHECK(steps[1].step == AlertStep::closed);
    CHECK(steps[1].alert.closed_ms == 7);
    CHECK(steps[0].alert.message == late.message);
    records->hand_out({.steps = {steps[0].id}});
    again();
    REQUIRE(records->next_steps(10).size() == 1);
    CHECK(records->next_steps(10).front().id == steps[1].id);
  }
  SECTION("a notice waits until it is removed, is there once, and is found when it is due") {
    NoticeRow row{.id = 0,
                  .channel = "mail",
                  .notice = "n-1-opened",
                  .alert = 1,
                  .state = "opened",
                  .body = "{}",
                  .added_ms = 10,
                  .due_ms = 20};
    NoticeRow other = row;
    other.channel = "pager";
    records->hand_out({.notices = {row, row, other}});
    records->hand_out({.notices = {row}});
    again();
    CHECK(records->queue_of("mail").waiting_count == 1);
    CHECK(records->queue_of("mail").oldest_ms == 10);
    CHECK_FALSE(records->next_notice("mail", 19));
    auto next = records->next_notice("mail", 20);
    REQUIRE(next);
    CHECK(next->notice == "n-1-opened");
    records->postpone_notice(next->id, 3, 50);
    again();
    CHECK_FALSE(records->next_notice("mail", 49));
    CHECK(records->next_notice("mail", 50)->attempt_count == 3);
    CHECK(records->waiting_notices("mail", 1).size() == 1);
    CHECK(records->waiting_notices("mail", 2).empty());
    records->remove_notice(next->id);
    records->remove_notice(next->id);
    CHECK(records->queue_of("mail").waiting_count == 0);
    CHECK(records->queue_of("pager").waiting_count == 1);
    for (const char* id : {"b", "c", "d"}) {
      other.notice = id;
      records->hand_out({.notices = {other}});
    }
    CHECK(records->shorten_queue("pager", 2) == 2);
    CHECK(records->next_notice("pager", 20)->notice == "c");
  }
  SECTION("channels have one name each") {
    records->add_channel({"mail", "{\"a\": 1}", 3});
    CHECK(code_of([&] {
            records->add_channel({"mail", "{}", 4});
          }) == base::ErrorCode::already_exists);
    records->add_channel({"a pager", "{}", 5});
    again();
    auto channels = records->channels();
    REQUIRE(channels.size() == 2);
    CHECK(channels[1].settings == "{\"a\": 1}");
    records->delete_channel("mail");
    CHECK(code_of([&] { records->delete_channel("mail"); }) == base::ErrorCode::not_found);
    CHECK(records->channels().size() == 1);
  }
  SECTION("silences and acknowledgements say who, and until when") {
    records->open_alert(late);
    int64_t id = records->alerts(tenant, false, 1).front().id;
    CHECK(records->unanswered_alerts("boss", "escalated", 6, 100, 10).size() == 1);
    CHECK(records->unanswered_alerts("boss", "escalated", 5, 100, 10).empty());
    records->silence_alert(id, tenant, {"anna", "moving"}, 200);
    again();
    Alert alert = records->alerts(tenant, false, 1).front();
    CHECK(alert.silenced_until_ms == 200);
    CHECK(alert.silenced_by == "anna");
    CHECK(alert.silence_note == "moving");
    CHECK(records->unanswered_alerts("boss", "escalated", 6, 199, 10).empty());
    CHECK(records->silences_over(199, 10).empty());
    CHECK(records->silences_over(200, 10).size() == 1);
    records->hand_out({.reminders = {{"boss", id, "escalated"}}, .ended_silences = {id}});
    again();
    CHECK(records->silences_over(200, 10).empty());
    CHECK_FALSE(records->alerts(tenant, false, 1).front().silenced_until_ms);
    CHECK(records->was_reminded({"boss", id, "escalated"}));
    CHECK_FALSE(records->was_reminded({"boss", id + 1, "escalated"}));
    CHECK(records->unanswered_alerts("boss", "escalated", 6, 300, 10).empty());
    CHECK(records->unanswered_alerts("other", "escalated", 6, 300, 10).size() == 1);
    records->acknowledge_alert(id, tenant, {"bert", "on it"}, 300);
    again();
    alert = records->alerts(tenant, false, 1).front();
    CHECK(alert.acknowledged_by == "bert");
    CHECK(alert.acknowledged_note == "on it");
    CHECK(records->unanswered_alerts("other", "escalated", 6, 300, 10).empty());
    TenantScope nobody;
    CHECK(code_of([&] { records->silence_alert(id, nobody, {}, 1); }) ==
          base::ErrorCode::not_found);
  }
}

}  // namespace appliance::catalog
