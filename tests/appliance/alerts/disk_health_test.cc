#include "appliance/alerts/disk_health.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json_access.h"

namespace appliance::alerts {
namespace {

using nlohmann::json;

constexpr uint64_t kHour = 3'600'000, kDay = 24 * kHour, kGiB = 1 << 30;

std::string smart(const char* text) {
  auto problem = smart_problem("/dev/sda", base::parse_json(text, "the report"));
  return problem ? problem->message : "";
}

}  // namespace

TEST_CASE("a disk that says that it fails, or has lost sectors, is a problem", "[alerts]") {
  CHECK(smart(R"({"smart_status": {"passed": true}, "ata_smart_attributes": {"table":
        [{"id": 5, "raw": {"value": 0}}, {"id": 9, "raw": {"value": 31000}}]}})")
            .empty());
  CHECK_THAT(smart(R"({"model_name": "ST4000", "smart_status": {"passed": false}})"),
             Catch::Contains("/dev/sda (ST4000)") && Catch::Contains("failing"));
  CHECK_THAT(smart(R"({"smart_status": {"passed": true}, "ata_smart_attributes": {"table":
             [{"id": 5, "raw": {"value": 8}}, {"id": 197, "raw": {"value": 3}}]}})"),
             Catch::Contains("8 reallocated, 3 waiting"));
  CHECK_THAT(smart(R"({"nvme_smart_health_information_log": {"critical_warning": 4}})"),
             Catch::Contains("critical warning"));
  CHECK_THAT(smart(R"({"nvme_smart_health_information_log": {"critical_warning": 0,
             "media_errors": 1}})"),
             Catch::Contains("1 media error"));
  CHECK_THAT(smart(R"({"nvme_smart_health_information_log": {"percentage_used": 103}})"),
             Catch::Contains("worn out"));
  // What is not a report says nothing; the duty cannot tell more.
  for (const char* text : {"{}", "[]", "5", R"({"smart_status": 7})",
                           R"({"ata_smart_attributes": {"table": {"id": 5}}})",
                           R"({"ata_smart_attributes": {"table": [7, {"id": "5"}]}})"})
    CHECK(smart(text).empty());
}

TEST_CASE("an array that lacks a disk is a problem, also while it is rebuilt", "[alerts]") {
  const char* healthy =
      "Personalities : [raid1] [raid6]\n"
      "md0 : active raid1 sdb1[1] sda1[0]\n"
      "      1046528 blocks super 1.2 [2/2] [UU]\n"
      "      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n"
      "unused devices: <none>\n";
  CHECK(mdstat_problems(healthy).empty());
  CHECK(mdstat_problems("").empty());
  auto found = mdstat_problems(
      "Personalities : [raid1]\n"
      "md0 : active raid1 sda1[0]\n"
      "      1046528 blocks super 1.2 [2/1] [U_]\n\n"
      "md1 : active raid5 sdd1[3] sdb1[1] sda1[0]\n"
      "      2093056 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/2] [UU_]\n"
      "      [===>.................]  recovery = 17.2% (181000/1046528) finish=0.3min\n\n"
      "md2 : active raid1 sdf1[1](F) sde1[0]\n"
      "      1046528 blocks super 1.2 [2/1] [U_]\n\n"
      "md127 : inactive sdg1[0](S)\n"
      "      1046528 blocks super 1.2\n"
      "unused devices: <none>\n");
  REQUIRE(found.size() == 4);
  CHECK(found[0].subject == "md0");
  CHECK_THAT(found[0].message, Catch::Contains("lacks a disk"));
  CHECK_THAT(found[1].message, Catch::Contains("rebuilt"));
  CHECK(found[2].subject == "md2");
  CHECK_THAT(found[3].message, Catch::Contains("not running"));
  auto pools = zpool_problems("tank\tONLINE\nbackup\tDEGRADED\nrpool\tSUSPENDED\n\nnonsense\n");
  REQUIRE(pools.size() == 2);
  CHECK(pools[0].subject == "pool backup");
  CHECK_THAT(pools[1].message, Catch::Contains("SUSPENDED"));
}

TEST_CASE("the day on which a disk is full is foretold", "[alerts]") {
  std::vector<SpaceSample> samples;
  for (uint64_t i = 0; i < 8; ++i) samples.push_back({i * 6 * kHour, (100 - i) * kGiB});
  CHECK_FALSE(time_until_full_ms(samples));  // less than three days
  for (uint64_t i = 8; i < 40; ++i) samples.push_back({i * 6 * kHour, (100 - i) * kGiB});
  auto left = time_until_full_ms(samples);
  REQUIRE(left);
  CHECK(*left / kDay == 15);  // 61 GiB at 4 GiB a day
  for (SpaceSample& each : samples) each.free = 100 * kGiB + each.time_ms;
  CHECK_FALSE(time_until_full_ms(samples));
  for (SpaceSample& each : samples) each.free = 100 * kGiB;
  CHECK_FALSE(time_until_full_ms(samples));
  for (SpaceSample& each : samples) each.time_ms = 5;
  CHECK_FALSE(time_until_full_ms(samples));
}

}  // namespace appliance::alerts
