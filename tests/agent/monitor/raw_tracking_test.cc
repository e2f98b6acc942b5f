#include "agent/monitor/raw_tracking.h"

#include <catch2/catch.hpp>

#include "agent/monitor/mapped_source.h"
#include "base/error.h"
#include "base/json_access.h"

namespace agent::monitor {
namespace {

using Catch::Matchers::Contains;
using nlohmann::json;

// A QEMU with one node, "n", that has bitmaps.
class FakeQemu : public Monitor {
 public:
  using Monitor::execute;
  json execute(const std::string& command, const json& arguments) override {
    std::string name = base::find_text(arguments, "name").value_or("");
    if (command == "query-named-block-nodes") return tell();
    if (command == "block-dirty-bitmap-add") bitmaps[name] = true;
    if (command == "block-dirty-bitmap-remove") bitmaps.erase(name);
    if (command == "transaction") bitmaps[arguments["actions"][0]["data"]["name"]] = false;
    return json::object();
  }
  std::map<std::string, bool> bitmaps;  // name: recording
  bool broken = false;

 private:
  json tell() const {
    json list = json::array();
    for (const auto& [name, recording] : bitmaps)
      list.push_back({{"name", name}, {"recording", recording}, {"inconsistent", broken}});
    return json::array({{{"node-name", "n"}, {"file", "/d"}, {"dirty-bitmaps", list}}});
  }
};

TEST_CASE("bitmaps count only if both are there, whole, and record") {
  FakeQemu qemu;
  RawTracking first(qemu);
  const std::vector<RawDisk> disks{{"vdb", "n", "/d"}};
  CHECK_THAT(first.examine(disks, std::nullopt).at("vdb"), Contains("no record"));
  first.begin();
  first.keep_new();
  MonitorRecord record = first.record();
  CHECK(qemu.bitmaps.size() == 2);
  qemu.bitmaps["foreign"] = true;
  qemu.bitmaps[new_bitmap_name()] = true;  // an interrupted sync's

  RawTracking second(qemu);
  CHECK(second.examine(disks, record).at("vdb").empty());
  CHECK(qemu.bitmaps.size() == 3);
  second.begin();
  CHECK(qemu.bitmaps.contains(second.copy_of_changes("vdb")));

  std::string reason;
  SECTION("one was removed") { qemu.bitmaps.erase(record.witness), reason = "is gone"; }
  SECTION("both were") { qemu.bitmaps.clear(), reason = "is gone"; }
  SECTION("one was switched off") { qemu.bitmaps[record.bitmap] = false, reason = "switched off"; }
  SECTION("they are inconsistent") { qemu.broken = true, reason = "broken"; }
  CHECK_THROWS_WITH(second.copy_of_changes("vdb"), Contains(reason));
  CHECK_THAT(RawTracking(qemu).examine(disks, record).at("vdb"), Contains(reason));
  CHECK_THAT(RawTracking(qemu).examine({{"vdb", "n", "/other"}}, record).at("vdb"),
             Contains("another image"));
  CHECK_THAT(RawTracking(qemu).examine({{"vdc", "n", "/d"}}, record).at("vdc"),
             Contains("not tracked"));
}

TEST_CASE("QEMU's answers are bounded and need not make sense") {
  CHECK_THROWS_WITH(result_of(R"({"error": {"class": "X", "desc": "no\nway"}})", "stop"),
                    Contains("QEMU refused stop: no way"));
  CHECK_THROWS_AS(result_of("[", "stop"), base::Error);
  CHECK(result_of(R"({"return": 5})", "stop") == 5);
  CHECK(result_of("{}", "stop").empty());
}

class Fixed : public images::DiskSource {
 public:
  explicit Fixed(std::vector<images::Extent> all) : all_(std::move(all)) {}
  uint64_t size() const override { return all_.back().offset + all_.back().length; }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<images::Extent> out;
    for (images::Extent extent : all_) {
      uint64_t begin = std::max(extent.offset, offset);
      uint64_t end = std::min(extent.offset + extent.length, offset + length);
      if (begin < end) out.push_back({begin, end - begin, extent.kind});
    }
    return out;
  }
  void read(uint64_t, base::MutableByteView) override {}

 private:
  std::vector<images::Extent> all_;
};

TEST_CASE("of a map only what it calls unchanged counts") {
  using enum images::ExtentKind;
  auto content = std::make_unique<Fixed>(
      std::vector<images::Extent>{{0, 10, data}, {10, 10, zero}, {20, 20, data}});
  auto map = std::make_unique<Fixed>(std::vector<images::Extent>{
      {0, 5, unchanged}, {5, 10, zero}, {15, 10, data}, {25, 15, unchanged}});
  auto source = mapped_source(std::move(content), std::move(map));
  std::string text;
  for (const images::Extent& extent : source->extents(2, 36))
    text += std::to_string(extent.offset) + "+" + std::to_string(extent.length) +
            (extent.kind == data   ? "d "
             : extent.kind == zero ? "z "
                                   : "u ");
  CHECK(text == "2+3u 5+5d 10+10z 20+5d 25+13u ");
  CHECK_THROWS_AS(mapped_source(std::make_unique<Fixed>(std::vector<images::Extent>{{0, 1, data}}),
                                std::make_unique<Fixed>(std::vector<images::Extent>{{0, 2, data}})),
                  base::Error);
}

}  // namespace
}  // namespace agent::monitor
