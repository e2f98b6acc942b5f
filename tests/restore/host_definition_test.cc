#include "restore/host_definition.h"

#include <catch2/catch.hpp>

namespace restore {
namespace {

const std::string kXml = R"(<domain type='kvm'>
  <name>web</name>
  <os>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>
  </os>
  <devices>
    <disk type='block' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source dev='/dev/vg/web' index='1'>
        <slices><slice type='storage' offset='0' size='1'/></slices>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/>
      <source file="/srv/data &amp; more.img"/>
      <target dev="vdb" bus="virtio"/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='/isos/install.iso'/>
      <target dev='sda' bus='sata'/>
    </disk>
    <diskette/>
  </devices>
</domain>
)";

HostDefinition adapted(const std::string& xml) {
  return adapt_definition(
      xml, {{"vda", {"/new/vda.img", "raw"}}, {"vdb", {"/new/it's.qcow2", "qcow2"}}}, "/new/nvram");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a restored definition uses the restored files, and lists what is still its host's",
          "[restore]") {
  HostDefinition definition = adapted(kXml);
  CHECK(definition.adapted == std::vector<std::string>{"vda", "vdb", "nvram"});
  CHECK(has(definition.xml, "<disk type='file' device='disk'>"));
  CHECK(has(definition.xml, "<driver name='qemu' type='raw' cache='none'/>"));
  CHECK(has(definition.xml, "<source file='/new/vda.img'/>"));
  CHECK(has(definition.xml, "<source file='/new/it&#39;s.qcow2'/>"));
  CHECK(has(definition.xml, "<driver name=\"qemu\" type=\"qcow2\"/>"));
  CHECK(has(definition.xml, "<nvram>/new/nvram</nvram>"));
  CHECK(definition.host_paths ==
        std::vector<std::string>{"/usr/share/OVMF/OVMF_CODE.fd", "/isos/install.iso"});
  CHECK_FALSE(definition.has_more_paths);
}

TEST_CASE("a definition that is no XML stays as it is, and its paths are listed", "[restore]") {
  for (const char* text :
       {"", "<", "<disk", "<disk>", "<disk type='file'", "<disk><target dev='vda'/>",
        "<disk><target dev='vda'/></disk>", "<disk><source><target dev='vda'/></disk>", "<nvram>",
        "<nvram", "<disk type='file><target dev='vda></disk>", "/", "'/", ">/", "<disk/><disk/>"}) {
    INFO(text);
    CHECK(adapted(text).xml.size() < 200);
  }
  HostDefinition odd = adapted("<disk type='file'><target dev='vda'/><source file='/old'</disk>");
  CHECK(odd.host_paths.size() <= 1);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "<source file='/x/" + std::to_string(i) + "'/>";
  HostDefinition full = adapted(many);
  CHECK(full.host_paths.size() == kMaxPaths);
  CHECK(full.has_more_paths);
  // Every prefix and every text of many tags ends soon.
  for (size_t size = 0; size < kXml.size(); size += 3) adapted(kXml.substr(0, size));
  std::string open;
  for (int i = 0; i < 20'000; ++i) open += "<disk ";
  CHECK(adapted(open).adapted.empty());
}

}  // namespace restore
