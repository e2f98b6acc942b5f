#include "appliance/boot/windows/hive_edit.h"

#include <catch2/catch.hpp>

#include "appliance/boot/windows/hive_log.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "tests/appliance/boot/windows/hives.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;
using nlohmann::json;

TestValue start_of(const std::string& driver, uint32_t start, const std::string& set = "001") {
  return {"ControlSet" + set + "\\Services\\" + driver, "Start", 4, number_bytes(start)};
}

struct Fixture {
  base::ScratchDirectory scratch{"/tmp", "hive-edit"};
  std::string path = scratch.path() + "/hive";

  json prepare(Bytes& bytes) { return prepare_hive(bytes, path); }
};

TEST_CASE_METHOD(Fixture, "only numbers that are there are changed, each in its place") {
  Bytes bytes =
      make_hive({start_of("storahci", 3),
                 start_of("stornvme", 0),
                 start_of("e1iexpress", 4),
                 start_of("E1G60", 1),
                 start_of("Tcpip", 2),
                 start_of("pciide", 3, "002"),
                 {"ControlSet001\\Services\\storahci\\StartOverride", "0", 4, number_bytes(3)},
                 {"ControlSet001\\Services\\storahci\\StartOverride", "text", 1, utf16("3")},
                 {"Setup", "Start", 4, number_bytes(4)}});
  Bytes before = bytes;
  json answer = prepare(bytes);
  CHECK(answer["changes"] == json::parse(R"([
          {"key": "ControlSet001\\Services\\storahci", "value": "Start", "before": 3, "after": 0},
          {"key": "ControlSet001\\Services\\storahci\\StartOverride", "value": "0", "before": 3, "after": 0},
          {"key": "ControlSet001\\Services\\e1iexpress", "value": "Start", "before": 4, "after": 3},
          {"key": "ControlSet002\\Services\\pciide", "value": "Start", "before": 3, "after": 0}])"));
  REQUIRE(bytes.size() == before.size());
  size_t different = 0;
  for (size_t i = 0; i < bytes.size(); ++i) different += bytes[i] != before[i] ? 1 : 0;
  CHECK(different == 4);  // the low bytes of four numbers

  SECTION("once more, nothing is to do") { CHECK(prepare(bytes)["changes"].empty()); }
  SECTION("it is taken back exactly") {
    CHECK(restore_hive(bytes, path, answer["changes"]) == 4);
    CHECK(bytes == before);
  }
  SECTION("what was changed since stays") {
    json changes = answer["changes"];
    changes[2]["after"] = 2;
    CHECK(restore_hive(bytes, path, changes) == 3);
    CHECK(bytes != before);
  }
  SECTION("a record that is none changes nothing") {
    Bytes prepared = bytes;
    CHECK_THROWS_AS(restore_hive(bytes, path, json::object()), base::Error);
    CHECK_THROWS_AS(restore_hive(bytes, path, json::parse(R"([{"key": 1}])")), base::Error);
    CHECK(restore_hive(
              bytes, path,
              json::parse(R"([{"key": "No\\Such", "value": "Start", "before": 1, "after": 0}])")) ==
          0);
    CHECK(bytes == prepared);
  }
}

TEST_CASE_METHOD(Fixture, "VirtIO drivers count if they start and have served a device") {
  std::vector<TestValue> values{start_of("viostor", 0), start_of("vioscsi", 0),
                                start_of("netkvm", 3)};
  Bytes bytes = make_hive(values);
  CHECK(prepare(bytes)["virtio_disk"] == false);
  auto device = [&](const char* id, const char* service) {
    values.push_back({std::string("ControlSet001\\Enum\\PCI\\") + id + "\\3&11&0", "Service", 1,
                      utf16(service)});
  };
  device("VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00", "viostor");
  device("VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00", "NetKVM");
  device("VEN_8086&DEV_2922", "vioscsi");
  bytes = make_hive(values);
  json answer = prepare(bytes);
  CHECK(answer["virtio_disk"] == true);
  CHECK(answer["virtio_network"] == true);
  CHECK(answer["virtio_scsi"] == false);
  CHECK(answer["changes"].empty());

  values.push_back({"ControlSet001\\Services\\viostor\\StartOverride", "0", 4, number_bytes(3)});
  bytes = make_hive(values);
  CHECK(prepare(bytes)["virtio_disk"] == false);
}

TEST_CASE_METHOD(Fixture, "fast startup is seen; what is no SYSTEM hive is refused") {
  Bytes fast = make_hive(
      {{"ControlSet001\\Control\\Session Manager\\Power", "HiberbootEnabled", 4, number_bytes(1)}});
  CHECK(prepare(fast)["fast_start"] == true);
  Bytes other = make_hive({{"Software\\Microsoft", "Start", 4, number_bytes(3)}});
  CHECK_THROWS_WITH(prepare(other), Catch::Contains("no control set"));
}

TEST_CASE_METHOD(Fixture, "a damaged hive is refused or left sound, and never grows") {
  Bytes whole = make_hive({start_of("storahci", 3), start_of("pciide", 3)});
  for (size_t at = 4096; at < whole.size(); at += 13) {
    Bytes bytes = whole;
    bytes[at] ^= 0xff;
    Bytes before = bytes;
    try {
      prepare(bytes);
      CHECK(bytes.size() == whole.size());
    } catch (const base::Error&) {
      CHECK(bytes == before);
    }
  }
}

}  // namespace
}  // namespace appliance::boot::windows
