#include "agent/monitor/pve_config.h"

#include <catch2/catch.hpp>
#include <random>

#include "agent/domain_xml.h"
#include "agent/monitor/swtpm_state.h"
#include "base/error.h"

namespace agent::monitor {
namespace {

using Catch::Matchers::Contains;

constexpr char kWhole[] =
    "# notes: scsi9: local:none\n"
    "agent: 1\n"
    "bios: ovmf\n"
    "boot: order=virtio3;scsi0\n"
    "cores: 4\n"
    "efidisk0: local-lvm:vm-7-disk-0,efitype=4m,pre-enrolled-keys=1,size=4M\n"
    "hostpci0: 0000:01:00\n"
    "ide2: local:iso/x.iso,media=cdrom\n"
    "machine: pc-q35-8.1+pve0\n"
    "memory: 8192\n"
    "name: dc01\n"
    "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=7\n"
    "net3: model=e1000,macaddr=BC:24:11:00:00:02\n"
    "ostype: win11\n"
    "sata5: local:7/vm-7-disk-3.qcow2,size=1G,serial=S123\n"
    "scsi0: local-lvm:vm-7-disk-1,size=32G\n"
    "scsi12: local-lvm:vm-7-disk-2,size=1G\n"
    "scsihw: virtio-scsi-single\n"
    "smbios1: uuid=7b10d7af-b932-4c66-b2c3-3996152ec465,manufacturer=QUNNRSA8Jj4=,base64=1\n"
    "sockets: 2\n"
    "tpmstate0: local-lvm:vm-7-disk-4,size=4M,version=v2.0\n"
    "virtio3: local-zfs:vm-7-disk-5,size=1G\n"
    "[snap]\n"
    "memory: 1\n"
    "scsi1: local:other\n";

TEST_CASE("a machine of Proxmox VE becomes a libvirt domain") {
  PveMachine machine = read_pve_config(kWhole);
  std::vector<std::string> names;
  for (const PveDisk& disk : machine.disks) names.push_back(disk.key + "=" + disk.name);
  CHECK(names == std::vector<std::string>{"scsi0=sda", "scsi12=sdm", "virtio3=vdd", "sata5=sdak"});
  CHECK(machine.has_efi_disk);
  CHECK(machine.efi_size == 540672);
  CHECK(machine.has_tpm);
  CHECK(machine.unprotected == std::vector<std::string>{"hostpci0 (a passed-through device)"});

  images::MachineDefinition definition = machine_definition(machine.libvirt_xml);
  CHECK(definition.firmware == images::Firmware::uefi);
  CHECK(definition.cpu_count == 8);
  CHECK(definition.memory_size == 8192ull << 20);
  REQUIRE(definition.network_cards.size() == 2);
  CHECK(definition.network_cards[0].mac == "bc:24:11:00:00:01");
  CHECK(definition.network_cards[1].model == "e1000");
  DomainFacts facts = domain_facts(machine.libvirt_xml);
  CHECK(facts.disks.size() == 4);
  CHECK(facts.has_tpm);
  CHECK_THAT(machine.libvirt_xml,
             Contains("machine=\"pc-q35-8.1\"") && Contains("offset=\"localtime\"") &&
                 Contains("ACME &lt;&amp;&gt;") && Contains("model=\"virtio-scsi\"") &&
                 Contains("name=\"secure-boot\"") && Contains("<serial>S123</serial>") &&
                 !Contains("other"));
}

TEST_CASE(
    "a configuration without a name, a controller or a boot order has Proxmox VE's defaults") {
  PveMachine machine = read_pve_config("ide0: local:x,size=1G\nbootdisk: ide0");
  images::MachineDefinition definition = machine_definition(machine.libvirt_xml);
  CHECK(definition.firmware == images::Firmware::bios);
  CHECK(definition.cpu_count == 1);
  CHECK(definition.memory_size == 512ull << 20);
  CHECK_THAT(machine.libvirt_xml, Contains("<boot order=\"1\"/>") && Contains("machine=\"pc\""));
}

TEST_CASE("what is no configuration is refused") {
  for (const char* text : {"", "[scsi]\nscsi0: x", "scsi31: local:x", "scsi00: local:x",
                           "scsi-1: x", "ide2: none,media=cdrom", "scsi0:", "<domain/>"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read_pve_config(text), base::Error);
  }
  CHECK_THROWS_AS(read_pve_config(std::string(kMaxPveConfig + 1, 'a')), base::Error);
}

TEST_CASE("a TPM's state is found in its store, and only there") {
  const base::Bytes store{'n', 'i', 'l', 'm', 'p', 't', 'w', 's', 1, 0, 24,  0,   24,  0,
                          0,   0,   3,   0,   0,   0,   8,   0,   0, 0, 'a', 'b', 'c', 'd'};
  CHECK(base::as_text(permanent_state(store)) == "abc");
  const std::vector<std::pair<size_t, uint8_t>> damages{{0, 1},    {8, 2},  {12, 3},
                                                        {15, 200}, {16, 0}, {19, 200}};
  for (auto [place, value] : damages) {
    CAPTURE(place);
    base::Bytes bad = store;
    bad[place] = value;
    CHECK_THROWS_AS(permanent_state(bad), base::Error);
  }
  CHECK_THROWS_AS(permanent_state(base::ByteView(store).first(20)), base::Error);
}

TEST_CASE("a damaged configuration is read or refused, and its domain stays a domain") {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text(kWhole);
    for (int change = 0; change < 8; ++change)
      text[random() % text.size()] = static_cast<char>(random());
    try {
      domain_facts(read_pve_config(text).libvirt_xml);
    } catch (const base::Error&) {
    }
  }
}

}  // namespace
}  // namespace agent::monitor
