#include "restore/foreign_definition.h"

#include <catch2/catch.hpp>

namespace restore {
namespace {

images::Point hostile_point() {
  images::Point point;
  point.machine_name = "a'b\"<c>&$(d)\n; rm \u2019x";
  point.definition.firmware = images::Firmware::uefi;
  point.definition.cpu_count = 3;
  point.definition.memory_size = 3ull << 30;
  point.definition.network_cards = {{"52:54:00:12:34:56", "virtio", "lan<&>"}, {"x;y", "\n", ""}};
  return point;
}

const std::vector<ForeignDisk> kDisks{{"vda", "vda.img", 1 << 30, 1000},
                                      {"hda", "it's.img", 512, 9}};

}  // namespace

TEST_CASE("a machine's definition for others escapes what its host chose", "[restore]") {
  images::Point point = hostile_point();
  std::string ovf = ovf_descriptor(point, kDisks);
  CHECK(ovf.find("<c>") == std::string::npos);
  CHECK(ovf.find("lan&lt;&amp;&gt;") != std::string::npos);
  CHECK(ovf.find("vmw:value=\"efi\"") != std::string::npos);
  CHECK(ovf.find("ovf:capacity=\"1073741824\"") != std::string::npos);

  std::string script = hyperv_script(point, kDisks);
  CHECK(script.find("'a''b\"<c>&$(d)") != std::string::npos);
  CHECK(script.find("''x'") != std::string::npos);  // the typographic quote ends a text, too
  CHECK(script.find("\u2019") == std::string::npos);
  CHECK(script.find("'it''s.img'") != std::string::npos);
  CHECK(script.find("-StaticMacAddress '525400123456'") != std::string::npos);
  CHECK(script.find("x;y") == std::string::npos);
  CHECK(script.find("-Generation 2 -MemoryStartupBytes 3072MB") != std::string::npos);

  std::string config = proxmox_config(point, kDisks, 104);
  CHECK(config.find("name: a-b--c----d-") != std::string::npos);
  CHECK(config.find("virtio0: local:104/vda.img,size=1048576K\n") != std::string::npos);
  CHECK(config.find("boot: order=virtio0\n") != std::string::npos);
  CHECK(config.find("net0: virtio=52:54:00:12:34:56,bridge=vmbr0") != std::string::npos);
  CHECK(config.find("net1: e1000,bridge=vmbr0") != std::string::npos);
  for (const std::string& text : {ovf, script, config})
    CHECK(text.find("\n; rm") == std::string::npos);
}

TEST_CASE("what a point does not say is said", "[restore]") {
  images::Point point;
  point.machine_name = "???";
  CHECK(foreign_notes(point).size() == 3);
  CHECK(proxmox_config(point, {}, 100).find("name: restored\n") != std::string::npos);
  CHECK(hyperv_script(point, {}).find("-Generation 1") != std::string::npos);
}

}  // namespace restore
