// Definitions in data/NAME.xml become the domains in data/NAME.expected.xml. With
// MULETTO_UPDATE_GOLDEN=1 in the environment the expected files are written instead of compared:
// then read the difference.
#include "appliance/boot/machine/machine_plan.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "appliance/boot/machine/domain_translation.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

std::string data_path(const std::string& name) {
  return std::string(MULETTO_TEST_DATA) + "/appliance/boot/data/" + name;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

HypervisorFacts usual_facts() {
  HypervisorFacts facts;
  facts.cpu_count = 8;
  facts.memory_size = 32ull << 30;
  facts.memory_available = 16ull << 30;
  facts.uefi_firmwares = {{"/fw/CODE.fd", "/fw/VARS.fd", 540672, false},
                          {"/fw/CODE.secure.fd", "/fw/VARS.fd", 540672, true}};
  facts.has_tpm = true;
  facts.machine_types = {"pc", "pc-i440fx-7.2", "q35", "pc-q35-7.2"};
  return facts;
}

images::Point point_of(const std::string& xml, const std::vector<std::string>& disks) {
  images::Point point;
  point.id = images::PointId{{7}};
  point.machine_name = "the machine";
  point.definition.libvirt_xml = xml;
  for (const std::string& name : disks) {
    images::PointDisk disk;
    disk.name = name;
    disk.size = 1ull << 30;
    point.disks.push_back(disk);
  }
  return point;
}

std::string translate(const MachinePlan& plan, Accelerator accelerator) {
  BootRecord record;
  record.vm.id = BootId{{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}};
  record.vm.point = images::PointId{{7}};
  record.vm.machine_name = "the machine";
  record.vm.tenant = access::TenantName("acme");
  record.vm.accelerator = accelerator;
  record.vm.domain_name = domain_name(record.vm.machine_name, record.vm.id);
  record.console_password = "secret78";
  UefiFirmware firmware{plan.secure_boot ? "/fw/CODE.secure.fd" : "/fw/CODE.fd", "/fw/VARS.fd",
                        540672, plan.secure_boot};
  DomainPaths paths{boot_paths("/state", "/run", record.vm.id), "/state"};
  return domain_xml(plan, record, paths,
                    plan.firmware == images::Firmware::uefi ? &firmware : nullptr);
}

// Networks get their libvirt names from the service; here a fixed one.
MachinePlan plan_with_networks(const images::Point& point, const BootOptions& options = {}) {
  MachinePlan plan = plan_machine(point, {}, options, usual_facts());
  for (GuestCard& card : plan.cards) {
    if (card.source.empty()) card.source = "some-network";
  }
  return plan;
}

void check_golden(const std::string& name, const std::string& xml) {
  std::string path = data_path(name + ".expected.xml");
  if (std::getenv("MULETTO_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << xml;
  CHECK(xml == read_text(path));
}

bool has_note(const MachinePlan& plan, const std::string& words) {
  for (const std::string& note : plan.notes) {
    if (note.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a BIOS machine with i440fx keeps its hardware", "[boot]") {
  images::Point point = point_of(read_text(data_path("bios-i440fx.xml")), {"vda"});
  MachinePlan plan = plan_with_networks(point);
  REQUIRE(plan.reasons.empty());
  check_golden("bios-i440fx", translate(plan, Accelerator::kvm));
}

TEST_CASE("a UEFI machine with q35 keeps secure boot when its variables were captured", "[boot]") {
  images::Point point = point_of(read_text(data_path("uefi-q35.xml")), {"sda"});
  point.definition.state_files.emplace_back("nvram", base::Bytes(540672, 1));
  MachinePlan plan = plan_with_networks(point);
  REQUIRE(plan.reasons.empty());
  CHECK(plan.secure_boot);
  CHECK(plan.uefi_variables.size() == 540672);
  check_golden("uefi-q35", translate(plan, Accelerator::kvm));

  point.definition.state_files.clear();
  plan = plan_with_networks(point);
  CHECK(!plan.secure_boot);
  CHECK(has_note(plan, "Secure boot is off"));
}

TEST_CASE("SCSI disks keep their order and controllers, what is not in the point is left out",
          "[boot]") {
  images::Point point = point_of(read_text(data_path("scsi-disks.xml")), {"sda", "sdb"});
  MachinePlan plan = plan_with_networks(point);
  REQUIRE(plan.reasons.empty());
  CHECK(has_note(plan, "vdz"));
  check_golden("scsi-disks", translate(plan, Accelerator::tcg));
}

TEST_CASE("an old IDE machine", "[boot]") {
  images::Point point = point_of(read_text(data_path("ide.xml")), {"hda"});
  MachinePlan plan = plan_with_networks(point);
  REQUIRE(plan.reasons.empty());
  check_golden("ide", translate(plan, Accelerator::tcg));
}

TEST_CASE("nothing of the old host's files and devices comes along", "[boot]") {
  images::Point point = point_of(read_text(data_path("passthrough.xml")), {"vda", "sdb"});
  MachinePlan plan = plan_with_networks(point, {.macs = MacChoice::keep});
  REQUIRE(plan.reasons.empty());
  CHECK(plan.cpu_count == 8);
  for (const char* words : {"passed-through devices", "shared folders", "sound cards", "64 CPUs",
                            "52:54:00:99:99:99"}) {
    CAPTURE(words);
    CHECK(has_note(plan, words));
  }
  REQUIRE(plan.cards.size() == 2);
  CHECK(plan.cards[0].mac == "52:54:00:99:99:99");
  CHECK(plan.cards[1].mac.substr(0, 9) == "52:54:00:");  // a multicast address is no card's own
  plan.cards[1].mac = "52:54:00:00:00:00";
  std::string xml = translate(plan, Accelerator::tcg);
  for (const char* words :
       {"evil", "shadow", "etc/passwd", "hostdev", "filesystem", "eth0", "seclabel"}) {
    CAPTURE(words);
    CHECK(xml.find(words) == std::string::npos);
  }
  check_golden("passthrough", xml);
}

TEST_CASE("a minimal definition gets hardware an unprepared guest boots on", "[boot]") {
  images::Point point = point_of("", {"vda", "data"});
  SECTION("BIOS") {
    MachinePlan plan =
        plan_machine(point, {.has_partitions = true, .has_boot_code = true}, {}, usual_facts());
    REQUIRE(plan.reasons.empty());
    CHECK(plan.firmware == images::Firmware::bios);
    CHECK(plan.machine_type == "pc");
    CHECK(plan.disks[0].bus == DiskBus::ide);
    CHECK(plan.disks[0].target == "hda");
    CHECK(plan.disks[0].boot_order == 1);
    CHECK(plan.disks[1].target == "hdb");
    CHECK(plan.cpu_count == 2);
    CHECK(plan.memory_size == 1ull << 30);
    REQUIRE(plan.cards.size() == 1);
    CHECK(plan.cards[0].mode == NetworkMode::isolated);
  }
  SECTION("UEFI by the partition table") {
    MachinePlan plan = plan_machine(
        point, {.has_partitions = true, .has_efi_system_partition = true}, {}, usual_facts());
    CHECK(plan.firmware == images::Firmware::uefi);
    CHECK(plan.reasons.empty());
  }
  SECTION("Windows with UEFI was on AHCI") {
    MachinePlan plan = plan_machine(point, {.has_efi_system_partition = true, .has_windows = true},
                                    {}, usual_facts());
    CHECK(plan.disks[0].bus == DiskBus::sata);
    CHECK(plan.machine_type == "q35");
    CHECK(plan.cards[0].model == "e1000e");
  }
  SECTION("Windows with BIOS, too; on IDE if the caller says so") {
    DiskInspection inspection{.has_partitions = true, .has_windows = true};
    MachinePlan plan = plan_machine(point, inspection, {}, usual_facts());
    CHECK(plan.disks[0].bus == DiskBus::sata);
    CHECK(plan.machine_type == "q35");
    CHECK(plan.firmware == images::Firmware::bios);
    CHECK(plan.cards[0].model == "e1000e");
    CHECK(has_note(plan, "0x7B"));
    plan = plan_machine(point, inspection, {.disk_bus = DiskBus::ide}, usual_facts());
    CHECK(plan.machine_type == "pc");
    CHECK(plan.cards[0].model == "e1000");
    CHECK(!has_note(plan, "0x7B"));
    CHECK(plan.reasons.empty());
  }
  SECTION("Windows that has had VirtIO keeps it, unless the caller says something else") {
    DiskInspection inspection{.has_partitions = true, .has_windows = true, .has_virtio_disk = true};
    MachinePlan plan = plan_machine(point, inspection, {}, usual_facts());
    CHECK(plan.disks[0].bus == DiskBus::virtio);
    CHECK(plan.cards[0].model == "e1000");
    CHECK(has_note(plan, "has had VirtIO disks"));
    CHECK(!has_note(plan, "0x7B"));
    inspection.has_virtio_network = true;
    CHECK(plan_machine(point, inspection, {}, usual_facts()).cards[0].model == "virtio");
    inspection.has_virtio_disk = false;
    inspection.has_virtio_scsi = true;
    CHECK(plan_machine(point, inspection, {}, usual_facts()).disks[0].bus == DiskBus::scsi);
    plan = plan_machine(point, inspection, {.disk_bus = DiskBus::sata}, usual_facts());
    CHECK(plan.disks[0].bus == DiskBus::sata);
    CHECK(!has_note(plan, "has had VirtIO disks"));
  }
  SECTION("what the caller says counts most") {
    BootOptions options;
    options.cpu_count = 3;
    options.memory_size = 300ull << 20;
    options.disk_bus = DiskBus::virtio;
    options.firmware = images::Firmware::uefi;
    options.networks = {{NetworkMode::none, ""}};
    MachinePlan plan = plan_machine(point, {}, options, usual_facts());
    CHECK(plan.cpu_count == 3);
    CHECK(plan.memory_size == 300ull << 20);
    CHECK(plan.disks[1].target == "vdb");
    CHECK(plan.firmware == images::Firmware::uefi);
    CHECK(plan.cards.empty());
  }
  SECTION("a fifth IDE disk goes elsewhere") {
    MachinePlan plan = plan_machine(point_of("", {"a", "b", "c", "d", "e"}), {}, {}, usual_facts());
    CHECK(plan.disks[3].target == "hdd");
    CHECK(plan.disks[4].bus == DiskBus::sata);
    CHECK(plan.disks[4].target == "sda");
  }
}

TEST_CASE("disks of different buses that are moved to one get places of its own", "[boot]") {
  images::Point point = point_of(
      "<domain><os><type machine='pc'>hvm</type></os><devices>"
      "<disk><target dev='hda' bus='ide'/><address type='drive' bus='0' unit='0'/></disk>"
      "<disk><target dev='sda' bus='sata'/><address type='drive' bus='0' unit='0'/></disk>"
      "</devices></domain>",
      {"hda", "sda"});
  MachinePlan plan = plan_machine(point, {}, {.disk_bus = DiskBus::sata}, usual_facts());
  REQUIRE(plan.disks.size() == 2);
  CHECK(plan.disks[0].address.empty());
  CHECK(plan.disks[1].address.empty());
  CHECK(plan.disks[0].target == "sda");
  CHECK(plan.disks[1].target == "sdb");
}

TEST_CASE("sectors of 4096 bytes are kept, on a bus that has them", "[boot]") {
  DiskInspection inspection{.disk_name = "vda", .has_partitions = true, .sector_size = 4096};
  MachinePlan plan = plan_machine(point_of("", {"vda"}), inspection, {}, usual_facts());
  CHECK(plan.reasons.empty());
  CHECK(plan.disks[0].bus == DiskBus::scsi);
  CHECK(plan.disks[0].logical_block_size == 4096);
  plan = plan_machine(point_of("", {"vda"}), inspection, {.disk_bus = DiskBus::ide}, usual_facts());
  REQUIRE(plan.reasons.size() == 1);
  CHECK_THAT(plan.reasons[0], Catch::Contains("4096 bytes"));
}

TEST_CASE("clock, SMBIOS texts and networks are kept, named or refused", "[boot]") {
  auto plan_of = [](const std::string& inside, const BootOptions& options = {}) {
    return plan_machine(point_of("<domain><os><type machine='pc'>hvm</type><smbios mode='sysinfo'/>"
                                 "</os>" +
                                     inside +
                                     "<devices><disk><target dev='vda' bus='virtio'/></disk>"
                                     "<interface type='network'/></devices></domain>",
                                 {"vda"}),
                        {}, options, usual_facts());
  };
  auto clock_of = [](const MachinePlan& plan) {
    std::string xml = translate(plan, Accelerator::tcg);
    size_t begin = xml.find("<clock ");
    return xml.substr(begin, xml.find('>', begin) - begin + 1);
  };
  CHECK(clock_of(plan_of("<clock offset='timezone' timezone='Europe/Berlin'/>")) ==
        "<clock offset=\"timezone\" timezone=\"Europe/Berlin\">");
  CHECK(clock_of(plan_of("<clock offset='variable' adjustment='-86400' basis='localtime'/>")) ==
        "<clock offset=\"variable\" adjustment=\"-86400\" basis=\"localtime\">");
  CHECK(clock_of(plan_of("<clock offset='absolute' start='1000000000'/>")) ==
        "<clock offset=\"absolute\" start=\"1000000000\">");
  MachinePlan odd = plan_of("<clock offset='timezone' timezone='../../etc:x'/>");
  CHECK(clock_of(odd) == "<clock offset=\"utc\">");
  CHECK(has_note(odd, "clock"));
  MachinePlan texts = plan_of(
      "<sysinfo type='smbios'><system><entry name='serial'>ds=nocloud</entry>"
      "<entry name='uuid'>x</entry></system><oemStrings><entry>key=1</entry></oemStrings>"
      "</sysinfo><sysinfo type='fwcfg'/>");
  std::string xml = translate(texts, Accelerator::tcg);
  CHECK(xml.find("<smbios mode=\"sysinfo\"") != std::string::npos);
  CHECK(xml.find("<entry name=\"serial\">ds=nocloud</entry>") != std::string::npos);
  CHECK(xml.find("<entry>key=1</entry>") != std::string::npos);
  CHECK(xml.find("name=\"uuid\"") == std::string::npos);
  CHECK(has_note(texts, "fwcfg"));
  BootOptions two;
  two.networks = {{NetworkMode::isolated, ""}, {NetworkMode::isolated, ""}};
  REQUIRE(plan_of("", two).reasons.size() == 1);
  CHECK_THAT(plan_of("", two).reasons[0], Catch::Contains("2 networks are given"));
  two.networks.pop_back();
  CHECK_FALSE(has_note(plan_of("", two), "connects nothing"));
  MachinePlan bare =
      plan_machine(point_of("<domain><os><type machine='pc'>hvm</type></os><devices><disk>"
                            "<target dev='vda' bus='virtio'/></disk></devices></domain>",
                            {"vda"}),
                   {}, two, usual_facts());
  CHECK(has_note(bare, "connects nothing"));
}

TEST_CASE("new UEFI variables get an entry for a loader that firmware would not find", "[boot]") {
  DiskInspection inspection{
      .disk_name = "vda", .has_partitions = true, .has_efi_system_partition = true};
  inspection.efi = EfiPartition{.number = 1,
                                .start = 2048,
                                .size = 4096,
                                .is_readable = true,
                                .loader = "\\EFI\\debian\\shimx64.efi"};
  images::Point point = point_of("", {"vda"});
  MachinePlan plan = plan_machine(point, inspection, {}, usual_facts());
  REQUIRE(plan.boot_entry);
  CHECK(plan.boot_entry->loader == "\\EFI\\debian\\shimx64.efi");
  CHECK(has_note(plan, "shimx64"));
  inspection.efi->has_default_loader = true;
  CHECK_FALSE(plan_machine(point, inspection, {}, usual_facts()).boot_entry);
  inspection.efi->has_default_loader = false;
  inspection.efi->loader.clear();
  plan = plan_machine(point, inspection, {}, usual_facts());
  CHECK_FALSE(plan.boot_entry);
  CHECK(has_note(plan, "nothing to start"));
}

TEST_CASE("what cannot be booted is refused with reasons", "[boot]") {
  images::Point point = point_of(read_text(data_path("uefi-q35.xml")), {"sda"});
  HypervisorFacts facts = usual_facts();
  facts.uefi_firmwares.clear();
  facts.memory_available = 1ull << 30;
  MachinePlan plan = plan_machine(point, {}, {}, facts);
  REQUIRE(plan.reasons.size() == 2);
  CHECK(plan.reasons[0].find("ovmf") != std::string::npos);
  CHECK(plan.reasons[1].find("4.0 GiB of memory") != std::string::npos);

  point.definition.libvirt_xml =
      "<domain><os><type arch='aarch64' machine='virt'>hvm</type></os></domain>";
  plan = plan_machine(point, {}, {}, usual_facts());
  REQUIRE(!plan.reasons.empty());
  CHECK(plan.reasons[0].find("aarch64") != std::string::npos);

  point.definition.libvirt_xml = "<domain";
  CHECK_THROWS_AS(plan_machine(point, {}, {}, usual_facts()), base::Error);
  point.definition.libvirt_xml.clear();
  point.disks.clear();
  CHECK(!plan_machine(point, {}, {}, usual_facts()).reasons.empty());
}

TEST_CASE("a TPM continues with its captured state, or says that it does not", "[boot]") {
  auto plan_with = [](const std::string& tpm, bool captured, bool has_swtpm = true) {
    images::Point point =
        point_of("<domain><os><type machine='q35'>hvm</type></os><devices>" + tpm +
                     "<disk type='file'><target dev='vda' bus='virtio'/></disk>"
                     "</devices></domain>",
                 {"vda"});
    if (captured) point.definition.state_files.emplace_back("tpm", base::Bytes{1, 2, 3});
    HypervisorFacts facts = usual_facts();
    facts.has_tpm = has_swtpm;
    return plan_machine(point, {}, {}, facts);
  };
  std::string emulated = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>";
  MachinePlan plan = plan_with(emulated, true);
  CHECK(plan.tpm_state == base::Bytes{1, 2, 3});
  CHECK(plan.tpm_model == "tpm-tis");
  CHECK(has_note(plan_with(emulated, false), "not in the point"));
  CHECK_FALSE(plan_with(emulated, true, false).has_tpm);
  CHECK(has_note(plan_with(emulated, true, false), "swtpm"));
  for (const char* tpm :
       {"<tpm><backend type='passthrough'/></tpm>",
        "<tpm><backend type='emulator' version='1.2'/></tpm>",
        "<tpm><backend type='emulator' version='2.0'><encryption secret='x'/></backend></tpm>"}) {
    CAPTURE(tpm);
    plan = plan_with(tpm, true);
    CHECK(plan.has_tpm);
    CHECK(plan.tpm_state.empty());
    CHECK(has_note(plan, "not in the point"));
  }
  CHECK_FALSE(plan_with("", true).has_tpm);
}

TEST_CASE("networks have names where they may", "[boot]") {
  for (const char* name : {"none", "isolated", "isolated:drill", "nat", "bridge:br0"})
    CHECK(network_choice_name(network_choice_from_name(name)) == name);
  for (const char* name : {"", "bridge", "bridge:", "nat:x", "none:x", "isolated:", "isolated:a/b",
                           "isolated:sixteen--letters", "bridge:..;x"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(network_choice_from_name(name), base::Error);
  }
}

TEST_CASE("a test boot never has the identity of the original", "[boot]") {
  images::Point point = point_of(read_text(data_path("bios-i440fx.xml")), {"vda"});
  CHECK(plan_machine(point, {}, {.purpose = Purpose::test}, usual_facts()).uuid !=
        "5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b");
  HypervisorFacts facts = usual_facts();
  facts.domain_uuids = {"5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b"};
  CHECK(plan_machine(point, {}, {}, facts).uuid != "5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b");
}

TEST_CASE("a domain is known by its metadata", "[boot]") {
  images::Point point = point_of("", {"vda"});
  std::string xml = translate(plan_with_networks(point), Accelerator::tcg);
  auto mark = read_mark(xml);
  REQUIRE(mark);
  CHECK(mark->boot.hex() == "123456789abcdef0");
  CHECK(mark->state_directory == "/state");
  CHECK(!read_mark("<domain><metadata><x xmlns='urn:other' boot='00'/></metadata></domain>"));
  CHECK(
      !read_mark("<domain><metadata><m:vm xmlns:m='urn:muletto:instant-vm:1' "
                 "boot='zz'/></metadata></domain>"));
}

TEST_CASE("a definition's words are clean and bounded before they go anywhere", "[boot]") {
  // A reference to half a surrogate pair becomes bytes that are no UTF-8.
  std::string xml =
      "<domain type='qemu'><uuid>5D6A2F4E-2F5F-4D4E-9B0A-0C6D5E8F1A2B</uuid>"
      "<os><type arch='&#xD800;' machine='&#xDFFF;&#1;'>hvm</type></os><devices>";
  std::string controls;
  for (int i = 0; i < 600; ++i) controls += "&#2;x";
  for (int i = 0; i < 200; ++i) xml += "<disk><target dev='&#xD800;" + controls + "'/></disk>";
  xml +=
      "<disk><serial>a&#xDC00;b</serial><target dev='vda' bus='virtio'/></disk></devices></domain>";
  MachinePlan plan = plan_machine(point_of(xml, {"vda"}), {}, {}, usual_facts());
  CHECK(plan.reasons.size() == 1);
  CHECK(plan.notes.size() <= 101);
  for (const auto* sentences : {&plan.notes, &plan.reasons}) {
    for (const std::string& each : *sentences) {
      CHECK(base::is_valid_utf8(each));
      CHECK(each.size() <= 600);
    }
  }
  CHECK(plan.disks.at(0).serial ==
        "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "b");
  CHECK(plan.uuid == "5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b");
  // What is kept of it can always be read again.
  BootRecord record;
  record.vm.machine_name = "the machine";
  record.vm.accelerator = Accelerator::tcg;
  record.vm.notes = plan.notes;
  record.problem = "broken \xff words";
  std::string text = record_to_json(record);
  CHECK(text.size() < 1 << 20);
  CHECK(record_from_json(text, "the record").vm.notes == plan.notes);
}

TEST_CASE("only what libvirt would write is an identity", "[boot]") {
  for (const char* wrong :
       {"------------------------------------", "5d6a2f4e2f5f-4d4e-9b0a-0c6d5e8f1a2b-",
        "5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2g", "../../../../../../../../etc/passwd"}) {
    std::string xml = "<domain type='qemu'><uuid>" + std::string(wrong) + "</uuid></domain>";
    std::string uuid = plan_machine(point_of(xml, {"vda"}), {}, {}, usual_facts()).uuid;
    CHECK(uuid != wrong);
    CHECK(uuid.size() == 36);
  }
}

}  // namespace appliance::boot
