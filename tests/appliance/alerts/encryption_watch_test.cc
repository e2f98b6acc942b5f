// A month of normal days raises nothing; a guest that encrypts its files is found within two syncs.
#include "appliance/alerts/encryption_watch.h"

#include <catch2/catch.hpp>
#include <random>

namespace appliance::alerts {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30, kHour = 3'600'000, kDay = 24 * kHour;
constexpr uint64_t kBegin = 1'790'000'000'000;
constexpr uint64_t kDisk = 200 * kGiB;

struct Month {
  std::vector<SyncVolume> syncs;
  uint64_t end_ms = kBegin;

  void add(double read, double ratio) {
    end_ms += kHour;
    auto bytes = static_cast<uint64_t>(read);
    syncs.push_back({end_ms, bytes, static_cast<uint64_t>(read * ratio),
                     "point" + std::to_string(syncs.size())});
  }
  auto verdict() const { return looks_encrypted(syncs, kDisk, end_ms); }
};

// Office hours, a dump of the database each night, updates once a week, photos on Mondays, a disk that
// is read as a whole once because tracking was lost.
Month normal_month(uint32_t seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> size(0, 0.8);
  std::uniform_real_distribution<double> shrink(0.25, 0.6);
  Month month;
  for (int hour = 0; hour < 30 * 24; ++hour) {
    int day = hour / 24, of_day = hour % 24;
    bool is_busy = day % 7 < 5 && of_day >= 8 && of_day < 18;
    double read = (is_busy ? 120.0 : 12.0) * kMiB * size(random);
    double ratio = shrink(random);
    if (of_day == 1) month.add(read + 2.5 * kGiB, 0.35);
    else if (day % 7 == 2 && of_day == 20) month.add(1.8 * kGiB, 0.55);
    else if (day % 7 == 0 && (of_day == 9 || of_day == 10)) month.add(read + 250.0 * kMiB, 0.9);
    else if (hour == 400) month.add(1.0 * kDisk, 0.001);
    else month.add(read, ratio);
  }
  return month;
}

}  // namespace

TEST_CASE("a month of normal days looks encrypted at no sync", "[alerts]") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Month month = normal_month(seed);
    for (size_t count = 1; count <= month.syncs.size(); ++count) {
      std::vector<SyncVolume> so_far(month.syncs.begin(),
                                     month.syncs.begin() + static_cast<std::ptrdiff_t>(count));
      INFO("seed " << seed << ", sync " << count);
      if (count % 7 == 0 || count == month.syncs.size())
        REQUIRE_FALSE(looks_encrypted(so_far, kDisk, so_far.back().time_ms));
    }
  }
}

TEST_CASE("a guest that encrypts its files is found within two syncs", "[alerts]") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Month month = normal_month(seed);
    std::string clean = month.syncs.back().point;
    uint64_t begun = month.end_ms;
    SECTION("at once, when it is fast") {
      month.add(30.0 * kGiB, 0.99);
      REQUIRE(month.verdict());
      CHECK(month.verdict()->clean_point == clean);
    }
    SECTION("with the second sync, when it is slower") {
      month.add(1.8 * kGiB, 0.97);
      month.add(2.0 * kGiB, 0.98);
      auto found = month.verdict();
      REQUIRE(found);
      CHECK(found->clean_point == clean);
      CHECK(found->first.time_ms == begun + kHour);
      // It stays known while normal life goes on, and ends after a week.
      for (int i = 0; i < 6 * 24; ++i) month.add(20.0 * kMiB, 0.4);
      CHECK(month.verdict());
      for (int i = 0; i < 2 * 24; ++i) month.add(20.0 * kMiB, 0.4);
      CHECK_FALSE(month.verdict());
    }
  }
}

TEST_CASE("what cannot be judged is not accused", "[alerts]") {
  Month young;
  young.add(20.0 * kMiB, 0.4);
  young.add(50.0 * kGiB, 0.99);
  CHECK_FALSE(young.verdict());
  Month video;
  for (int i = 0; i < 100; ++i) video.add(100.0 * kMiB, 0.98);
  video.add(80.0 * kGiB, 0.99);
  CHECK_FALSE(video.verdict());
  CHECK_FALSE(looks_encrypted({}, kDisk, kBegin));
  // Clocks that jump, and syncs of nothing.
  Month odd = normal_month(3);
  odd.syncs.push_back({0, 0, 0, "x"});
  odd.syncs.push_back({UINT64_MAX, 0, UINT64_MAX, "y"});
  CHECK_NOTHROW(odd.verdict());
}

}  // namespace appliance::alerts
