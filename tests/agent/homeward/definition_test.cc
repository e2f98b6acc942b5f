#include "agent/homeward/definition.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "base/scratch_directory.h"

namespace agent::homeward {
namespace {

const std::string kDomain =
    R"(<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>web</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
<memory unit='KiB'>1048576</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc-q35-6.2'>hvm</type>
<loader readonly='yes' type='pflash'>/usr/share/old/OVMF_CODE.fd</loader>
<nvram>/var/lib/old/web_VARS.fd</nvram><kernel>/root/evil</kernel></os>
<seclabel type='none'/><metadata><x/></metadata>
<devices><emulator>/root/evil-qemu</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw' io='native'/><source file='/old/vda.img'>
<seclabel model='dac' relabel='no'/></source><backingStore type='file'><source file='/old/base'/></backingStore>
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><source file='/etc/shadow'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><source file='/old/cd.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><script path='/root/evil.sh'/></interface>
<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>
<hostdev mode='subsystem' type='pci'><source><address domain='0'/></source></hostdev>
<serial type='file'><source path='/etc/cron.d/evil'/><target port='0'/></serial>
<channel type='unix'><source mode='bind' path='/root/evil.sock'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<channel type='file'><source path='/etc/evil'/></channel>
<graphics type='vnc' socket='/root/evil.vnc' passwd='x' listen='0.0.0.0'/>
<rng model='virtio'><backend model='egd' type='udp'><source mode='connect' host='evil' service='1'/></backend></rng>
<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
<input type='evdev'><source dev='/dev/input/evil'/></input>
<shmem name='x'><model type='ivshmem-plain'/></shmem>
</devices>
<qemu:commandline><qemu:arg value='-chardev'/></qemu:commandline></domain>)";

struct Setup {
  base::ScratchDirectory scratch{"/tmp", "muletto-definition-test"};
  HostView host;
  DefinitionWishes wishes;

  Setup() {
    std::ofstream(scratch.path() + "/OVMF_CODE_4M.fd") << "x";
    host.firmware_folders = {scratch.path()};
    host.networks = {"default"};
    wishes.disks["vda"] = {"/new/vda.qcow2", "qcow2", false};
    wishes.nvram_path = "/new/web_VARS.fd";
    wishes.nvram_size = 540672;
    wishes.has_tpm_state = true;
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool is_noted(const Definition& definition, const std::string& part) {
  return std::any_of(definition.notes.begin(), definition.notes.end(),
                     [&](const std::string& note) { return has(note, part); });
}

}  // namespace

TEST_CASE("nothing that names the old host's files or devices is taken over") {
  Setup setup;
  Definition made = adapt_definition(kDomain, setup.wishes, setup.host);
  CAPTURE(made.xml);
  for (const char* evil :
       {"evil", "/old", "/etc", "/root", "qemu:", "hostdev", "filesystem", "seclabel", "shmem",
        "emulator>", "io=", "script", "0.0.0.0", "passwd", "vdb", "metadata"})
    CHECK_FALSE(has(made.xml, evil));
  CHECK(has(made.xml, "<source file=\"/new/vda.qcow2\""));
  CHECK(has(made.xml, "type=\"qcow2\""));
  CHECK(has(made.xml, "machine=\"q35\""));
  CHECK(has(made.xml, setup.scratch.path() + "/OVMF_CODE_4M.fd"));
  CHECK(has(made.xml,
            "<nvram template=\"" + setup.scratch.path() + "/OVMF_VARS_4M.fd\">/new/web_VARS.fd"));
  CHECK(has(made.xml, "52:54:00:00:00:01"));
  CHECK(has(made.xml, "org.qemu.guest_agent.0"));
  CHECK(made.uuid == "11111111-2222-3333-4444-555555555555");
  CHECK(made.uses_nvram);
  CHECK(made.uses_tpm);
  for (const char* note : {"device <filesystem>", "device <hostdev>", "vdb", "sda is empty",
                           "<qemu:commandline>", "q35", "firmware"})
    CHECK(is_noted(made, note));
}

TEST_CASE("what a host lacks is refused, or answered for") {
  Setup setup;
  setup.host.networks = {"lan"};
  CHECK_THROWS_WITH(adapt_definition(kDomain, setup.wishes, setup.host),
                    Catch::Matchers::Contains("'default' is not on this host") &&
                        Catch::Matchers::Contains("lan"));
  setup.wishes.networks["default"] = "lan";
  CHECK(has(adapt_definition(kDomain, setup.wishes, setup.host).xml, "network=\"lan\""));
  setup.wishes.networks["default"] = "none";
  CHECK_THROWS(adapt_definition(kDomain, setup.wishes, setup.host));
  setup.wishes.networks["default"] = "lan";

  setup.wishes.nvram_size = 131072;  // for a firmware that is not here
  CHECK_THROWS_WITH(adapt_definition(kDomain, setup.wishes, setup.host),
                    Catch::Matchers::Contains("no UEFI firmware"));
  setup.wishes.nvram_size = 540672;
  setup.host.names = {"web"};
  CHECK_THROWS_WITH(adapt_definition(kDomain, setup.wishes, setup.host),
                    Catch::Matchers::Contains("already"));
  setup.wishes.name = "web2";
  setup.host.uuids = {"11111111-2222-3333-4444-555555555555"};
  Definition made = adapt_definition(kDomain, setup.wishes, setup.host);
  CHECK(made.name == "web2");
  CHECK(made.uuid.size() == 36);
  CHECK(made.uuid != *setup.host.uuids.begin());
  setup.wishes.disks["vda"].is_device = true;
  CHECK(has(adapt_definition(kDomain, setup.wishes, setup.host).xml,
            "<source dev=\"/new/vda.qcow2\""));
}

TEST_CASE("definitions that are none are refused or adapted, never believed") {
  Setup setup;
  for (const char* text :
       {"", "x", "<a/>", "<domain/>", "<domain type='lxc'><name>x</name></domain>",
        "<domain type='kvm'><name>../x\x01</name><os><type>hvm</type></os></domain>"})
    CHECK_THROWS_AS(adapt_definition(text, setup.wishes, setup.host), base::Error);
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    std::string text = kDomain;
    for (int i = 0; i < 4; ++i) {
      size_t at = random() % text.size();
      if (random() % 2 == 0) text[at] = static_cast<char>(random());
      else text.erase(at, random() % 40);
    }
    try {
      Definition made = adapt_definition(text, setup.wishes, setup.host);
      for (const char* evil : {"/etc/", "/root/", "qemu:", "<hostdev", "<filesystem"})
        CHECK_FALSE(has(made.xml, evil));
    } catch (const base::Error&) {
      // Refused: fine.
    }
  }
}

}  // namespace agent::homeward
