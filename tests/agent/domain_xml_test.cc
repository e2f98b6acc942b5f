#include "agent/domain_xml.h"

#include <catch2/catch.hpp>

#include "base/error.h"

namespace agent {
namespace {

constexpr char kDomain[] = R"(<domain type='qemu' id='3'>
  <name>shop</name>
  <memory unit='MiB'>512</memory>
  <vcpu placement='static'>3</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/shop.nvram</nvram></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/img/a b.qcow2' index='2'/>
      <backingStore type='file'><format type='raw'/><source file='/img/base'/></backingStore>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='block' device='disk'><source dev='/dev/vg/data'/><target dev='vdb'/></disk>
    <disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='p/i'/><target dev='vdc'/></disk>
    <disk type='file' device='cdrom'><source file='/img/x.iso'/><target dev='sda'/><readonly/></disk>
    <disk type='file' device='disk'><source file='/img/ro'/><target dev='vdd'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:11:22:33'/><source network='office' bridge='virbr1'/>
      <model type='virtio'/></interface>
    <interface type='user'><mac address='52:54:00:11:22:34'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
  </devices>
  <seclabel type='none' model='none'/>
  <seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+107</label></seclabel>
</domain>)";

TEST_CASE("a domain's disks, agent and state files are found") {
  DomainFacts facts = domain_facts(kDomain);
  REQUIRE(facts.disks.size() == 3);
  CHECK(facts.disks[0].name == "vda");
  CHECK(facts.disks[0].format == "qcow2");
  CHECK(facts.disks[0].path == "/img/a b.qcow2");
  CHECK(facts.disks[1].kind == "block");
  CHECK(facts.disks[1].path == "/dev/vg/data");
  CHECK(facts.disks[1].format == "raw");
  CHECK(facts.disks[2].path.empty());
  CHECK(facts.left_out == std::vector<std::string>{"sda: a CD-ROM", "vdd: read-only"});
  CHECK(facts.nvram_path == "/var/lib/shop.nvram");
  CHECK(facts.has_tpm);
  CHECK(facts.guest_agent_connected);
  CHECK(facts.owner_label == "+64055:+107");
}

TEST_CASE("what a domain keeps outside of its captured disks is named") {
  CHECK(domain_facts(kDomain).unprotected == std::vector<std::string>{"vdd (read-only)"});
  CHECK(domain_facts(kDomain).has_uefi_variables);
  DomainFacts facts = domain_facts(
      "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
      "<os firmware='efi'><loader stateless='yes'/><kernel>/boot/k</kernel></os><devices>"
      "<disk type='volume'><source pool='fast' volume='a.qcow2'/><target dev='vda'/></disk>"
      "<disk type='block' device='lun'><source dev='/dev/sdx'/><target dev='sda'/></disk>"
      "</devices><qemu:commandline><qemu:arg value='-drive'/></qemu:commandline></domain>");
  CHECK(facts.unprotected ==
        std::vector<std::string>{"sda (a passed-through SCSI device)",
                                 "the kernel that it is started with (/boot/k)",
                                 "what QEMU gets by qemu:commandline"});
  CHECK_FALSE(facts.has_uefi_variables);
  REQUIRE(facts.disks.size() == 1);
  CHECK(facts.disks[0].pool == "fast");
  CHECK(facts.disks[0].volume == "a.qcow2");
  CHECK(domain_facts("<domain><os><nvram type='file'><source file='/x.fd'/></nvram></os></domain>")
            .nvram_path == "/x.fd");
}

TEST_CASE("a domain's definition is kept") {
  images::MachineDefinition definition = machine_definition(kDomain);
  CHECK(definition.firmware == images::Firmware::uefi);
  CHECK(definition.cpu_count == 3);
  CHECK(definition.memory_size == 512ull << 20);
  REQUIRE(definition.network_cards.size() == 2);
  CHECK(definition.network_cards[0].mac == "52:54:00:11:22:33");
  CHECK(definition.network_cards[0].model == "virtio");
  CHECK(definition.network_cards[0].network == "office");
  CHECK(definition.network_cards[1].network == "user");
  CHECK(definition.libvirt_xml == kDomain);
  CHECK(machine_definition("<domain><memory>1048576</memory><os/></domain>").memory_size ==
        1ull << 30);
  CHECK(machine_definition("<domain><os/></domain>").firmware == images::Firmware::bios);
}

TEST_CASE("what is no domain is refused") {
  for (const char* text : {"", "<domain", "<network/>", "no XML"}) {
    INFO(text);
    CHECK_THROWS_AS(domain_facts(text), base::Error);
    CHECK_THROWS_AS(machine_definition(text), base::Error);
  }
  CHECK_THROWS_AS(domain_facts("<domain><devices><disk><target/></disk></devices></domain>"),
                  base::Error);
}

}  // namespace
}  // namespace agent
