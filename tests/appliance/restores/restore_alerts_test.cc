#include "appliance/restores/restore_alerts.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "appliance/restores/restore_figures.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::restores {
namespace {

using catalog::Job;
using catalog::JobState;

const catalog::TenantName kTenant(catalog::kDefaultTenant);

struct Alerts {
  std::unique_ptr<catalog::FreshCatalog> fresh = catalog::make_catalog("sqlite");
  std::vector<std::string> changes;  // "+" or "-", and the subject
  alerts::AlertBook book{
      fresh->get(), [this](const catalog::Alert& alert, alerts::AlertChange change) {
        changes.push_back((change == alerts::AlertChange::opened ? "+" : "-") + alert.subject);
      }};
  std::unique_ptr<RestoreAlerts> restores =
      std::make_unique<RestoreAlerts>(fresh->get(), fresh->get());
  uint64_t now_ms = 1000;

  // A job that ended, and was recorded so.
  Job end(JobState state, const std::string& target, const std::string& more = "",
          const std::string& kind = "host-restore") {
    Job job;
    job.kind = kind;
    job.tenant = kTenant;
    job.subject = "web";
    job.id = fresh->get().add_job(job);
    job.state = state;
    job.figures = fmt::format(R"({{"target": {{"kind": "host", "name": "{}"}}{}}})", target, more);
    if (state != JobState::succeeded) {
      job.error_code = base::ErrorCode::io;
      job.error_message = "the cable was cut";
    }
    job.ended_ms = ++now_ms;
    fresh->get().end_job(job);
    return job;
  }
  std::vector<std::string> round() {
    changes.clear();
    restores->round(book, ++now_ms);
    return changes;
  }
  void acknowledge() {
    auto open = fresh->get().alerts(kTenant, false, 10);
    REQUIRE(open.size() == 1);
    fresh->get().acknowledge_alert(open[0].id, kTenant, {"root", ""}, ++now_ms);
  }
};

using Changes = std::vector<std::string>;

TEST_CASE("a failed restore opens an alert, which a success to the same target closes",
          "[restores]") {
  Alerts alerts;
  CHECK(alerts.round().empty());
  alerts.restores->ended(alerts.end(JobState::failed, "hv1"));
  CHECK(alerts.round() == Changes{"+web to the host hv1"});
  CHECK(alerts.fresh->get().alerts(kTenant, false, 10).at(0).message.find("cable was cut") !=
        std::string::npos);
  // Neither another target, a survey, a cancelled restore nor another kind of job closes it.
  alerts.restores->ended(alerts.end(JobState::succeeded, "hv2"));
  alerts.restores->ended(alerts.end(JobState::succeeded, "hv1", R"(, "survey": true)"));
  alerts.restores->ended(alerts.end(JobState::cancelled, "hv1"));
  alerts.restores->ended(alerts.end(JobState::succeeded, "hv1", "", "sync"));
  CHECK(alerts.round().empty());
  alerts.restores->ended(alerts.end(JobState::succeeded, "hv1"));
  CHECK(alerts.round() == Changes{"-web to the host hv1"});
}

TEST_CASE("an acknowledgement closes it, and the next failure opens it again", "[restores]") {
  Alerts alerts;
  alerts.restores->ended(alerts.end(JobState::failed, "hv1"));
  alerts.round();
  alerts.acknowledge();
  CHECK(alerts.round() == Changes{"-web to the host hv1"});
  CHECK(alerts.round().empty());
  alerts.restores->ended(alerts.end(JobState::failed, "hv1"));
  CHECK(alerts.round() == Changes{"+web to the host hv1"});
  // Acknowledged, and failed again before anybody looked: the new failure is told.
  alerts.acknowledge();
  alerts.restores->ended(alerts.end(JobState::failed, "hv1"));
  CHECK(alerts.round() == Changes{"-web to the host hv1", "+web to the host hv1"});
}

TEST_CASE("what ended while nobody listened is found in the catalog", "[restores]") {
  Alerts alerts;
  alerts.end(JobState::succeeded, "hv1");
  alerts.end(JobState::failed, "hv1");
  alerts.end(JobState::failed, "hv2");
  alerts.end(JobState::succeeded, "hv2");
  CHECK(alerts.round() == Changes{"+web to the host hv1"});
  alerts.acknowledge();
  alerts.round();
  // After a restart: it was heard.
  alerts.restores = std::make_unique<RestoreAlerts>(alerts.fresh->get(), alerts.fresh->get());
  CHECK(alerts.round().empty());
}

TEST_CASE("the figures of both kinds of restores", "[restores]") {
  Job job;
  job.kind = "restore";
  job.figures =
      R"({"target": {"kind": "folder", "name": "first"}, "survey": false, "size": 30,
          "disks": [{"differing": 3, "written": 4, "verified": 5},
                    {"differing": null, "written": 6, "verified": 7}]})";
  RestoreFigures figures = restore_figures(job);
  CHECK(describe_target(figures.target) == "the folder first");
  CHECK(figures.size == 30u);
  CHECK_FALSE(figures.differing);  // of one it is not known
  CHECK(figures.written == 10u);
  CHECK(figures.read_back == 12u);
  CHECK_FALSE(figures.received);
  job.kind = "host-restore";
  job.figures = R"({"target": {"kind": "host", "name": "hv1"}, "survey": true, "differing": 9})";
  figures = restore_figures(job);
  CHECK(figures.is_survey);
  CHECK(figures.differing == 9u);
  for (const char* damaged : {"", "[]", "{", R"({"target": 5, "disks": 7, "size": -1})"}) {
    job.figures = damaged;
    CHECK(describe_target(restore_figures(job).target) == "its target");
  }
}

}  // namespace
}  // namespace appliance::restores
