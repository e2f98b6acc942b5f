// The report's page, from hostile names, and the recovery times it tells.
#include <catch2/catch.hpp>

#include "appliance/catalog/proved_recovery.h"
#include "appliance/report/report_html.h"

namespace appliance::report {

TEST_CASE("a report escapes what clients and guests wrote", "[report]") {
  TenantReport report;
  report.tenant = "<b>O'Hara & \"Sons\"</b>";
  report.from_ms = 1'000;
  report.to_ms = report.made_ms = 900'000'000;
  ReportedMachine machine;
  machine.name = "<script>alert(1)</script>";
  machine.last_boot =
      ReportedBoot{2'000, 1'000, "pass", {"<img src=http://x/>"}, 41'000, {1, 2, 3}};
  machine.is_protected = true;
  machine.latest_ms = 890'000'000;
  machine.rpo_ms = machine.rto_ms = 60'000'000;
  report.machines.push_back(machine);
  std::string page = report_html(report);
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("<img src=http") == std::string::npos);
  CHECK(page.find("&lt;b&gt;O&#39;Hara &amp; &quot;Sons&quot;") != std::string::npos);
  CHECK(page.find("1 of 1 machine is proved to boot, within 41.0 s") != std::string::npos);
  CHECK(page.find("base64,AQID\"") != std::string::npos);
  CHECK(page.find("Not all stored data has been read and verified yet") != std::string::npos);
  report.store_check = catalog::StoreCheck{2'000, false, 0, ""};
  CHECK(report_html(report).find("it is intact") != std::string::npos);
  report.store_check->problem_count = 1;
  CHECK(report_html(report).find("it is damaged") != std::string::npos);
}

TEST_CASE("a trend compares the newest three passes with those before", "[report]") {
  auto proved = [](std::vector<uint64_t> newest_first) {
    std::vector<catalog::RecoveryTime> times;
    for (uint64_t ms : newest_first) times.push_back({0, ms});
    return catalog::proved_recovery(times);
  };
  CHECK(proved({}).count == 0);
  CHECK(proved({10, 20}).recent_ms == 20);
  CHECK(proved({10, 20, 30, 40, 50}).trend == catalog::Trend::unknown);
  CHECK(proved({100, 110, 90, 100, 105, 95}).trend == catalog::Trend::steady);
  auto slower = proved({150, 160, 140, 100, 105, 95});
  CHECK(slower.trend == catalog::Trend::slower);
  CHECK(slower.change_percent == 50);
  CHECK(proved({50, 50, 50, 100, 100, 100}).trend == catalog::Trend::faster);
}

}  // namespace appliance::report
