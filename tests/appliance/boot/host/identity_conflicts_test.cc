#include "appliance/boot/host/identity_conflicts.h"

#include <catch2/catch.hpp>

#include "appliance/boot/host/linux_bridges.h"
#include "appliance/boot/host/mac_solicitation.h"
#include "appliance/boot/libvirt/host_facts.h"

namespace appliance::boot {
namespace {

constexpr const char* kMac = "52:54:00:12:34:56";

JoiningVm web_on(const std::string& network, NetworkMode mode = NetworkMode::isolated) {
  return {"web", access::TenantName("default"), "muletto-web-1", false, {{kMac, mode, network}}};
}

InstantVm running(const std::string& machine, const std::string& network) {
  InstantVm vm;
  vm.machine_name = machine;
  vm.tenant = access::TenantName("default");
  vm.domain_name = "muletto-other-2";
  vm.network_cards = {{"52:54:00:99:99:99", NetworkMode::isolated, network}};
  return vm;
}

bool says(const std::vector<std::string>& reasons, const std::string& words) {
  return reasons.size() == 1 && reasons[0].find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("the same machine twice on one network is refused, elsewhere it is not", "[boot]") {
  CHECK(says(identity_conflicts(web_on("net"), {running("web", "net")}, {}, {}),
             "same machine is on network net"));
  CHECK(identity_conflicts(web_on("net"), {running("web", "other")}, {}, {}).empty());
  CHECK(identity_conflicts(web_on("net"), {running("mail", "net")}, {}, {}).empty());
  InstantVm of_another_tenant = running("web", "net");
  of_another_tenant.tenant = access::TenantName("acme");
  CHECK(identity_conflicts(web_on("net"), {of_another_tenant}, {}, {}).empty());
  InstantVm itself = running("web", "net");
  itself.domain_name = "muletto-web-1";
  CHECK(identity_conflicts(web_on("net"), {itself}, {}, {}).empty());
  JoiningVm copy = web_on("net");
  copy.has_fresh_macs = true;
  CHECK(identity_conflicts(copy, {running("web", "net")}, {}, {}).empty());
}

TEST_CASE("a MAC address in use on the same network is refused, whoever's it is", "[boot]") {
  CHECK(
      says(identity_conflicts(web_on("net"), {}, {{"production", "52:54:00:12:34:56", "net"}}, {}),
           "virtual machine 'production'"));
  CHECK(says(identity_conflicts(web_on("net"), {}, {{"shouting", "52:54:00:12:34:56", "net"}}, {}),
             "shouting"));
  CHECK(identity_conflicts(web_on("net"), {}, {{"production", kMac, "elsewhere"}}, {}).empty());
  CHECK(identity_conflicts(web_on("net"), {}, {{"muletto-web-1", kMac, "net"}}, {}).empty());
}

TEST_CASE("an original that a bridge has seen just now is alive, one of minutes ago is not",
          "[boot]") {
  JoiningVm web = web_on("br0", NetworkMode::bridge);
  CHECK(says(identity_conflicts(web, {}, {}, {{"br0", kMac, 2000}}), "seems to be alive"));
  CHECK(identity_conflicts(web, {}, {}, {{"br0", kMac, 120'000}}).empty());
  CHECK(identity_conflicts(web, {}, {}, {{"br1", kMac, 2000}}).empty());
}

TEST_CASE("a bridge's forwarding table is read to its last whole record", "[boot]") {
  std::string record("\x52\x54\x00\x12\x34\x56\x01\x00\xc8\x00\x00\x00\x00\x00\x00\x00", 16);
  std::string local = record;
  local[7] = 1;
  auto seen = read_forwarding_table("br0", record + local + record.substr(0, 15));
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].mac == kMac);
  CHECK(seen[0].age_ms == 2000);
  CHECK(seen[0].bridge == "br0");
}

TEST_CASE("a call goes to one station, and its parts are whole", "[boot]") {
  auto station = parse_mac(kMac), caller = parse_mac("02:00:00:aa:BB:01");
  REQUIRE(station);
  REQUIRE(caller);
  CHECK_FALSE(parse_mac("52:54:00:12:34"));
  CHECK_FALSE(parse_mac("52:54:00:12:34:5g"));
  CHECK_FALSE(parse_mac("52:54:00:12:34:560"));
  for (const base::Bytes& frame : solicitations_to(*station, *caller)) {
    REQUIRE(frame.size() >= 50);
    CHECK(std::equal(station->begin(), station->end(), frame.begin()));
    CHECK(std::equal(caller->begin(), caller->end(), frame.begin() + 6));
    bool six = frame[12] == 0x86;
    size_t length = six ? 40u + frame[18] * 256u + frame[19] : frame[16] * 256u + frame[17];
    CHECK(frame.size() == 14 + length);
  }
}

TEST_CASE("each tenant and each name has an isolated network of its own", "[boot]") {
  CHECK(isolated_network_name("iso", access::TenantName(""), "") == "iso");
  CHECK(isolated_network_name("iso", access::TenantName("default"), "") == "iso");
  CHECK(isolated_network_name("iso", access::TenantName("default"), "drill") ==
        "iso.default.drill");
  CHECK(isolated_network_name("iso", access::TenantName("acme"), "") == "iso.acme");
  CHECK(isolated_network_name("iso", access::TenantName("acme"), "drill") == "iso.acme.drill");
  // No name of one tenant is another tenant's.
  CHECK(isolated_network_name("iso", access::TenantName("acme.drill"), "") !=
        isolated_network_name("iso", access::TenantName("acme"), "drill"));
  CHECK(isolated_network_name("iso", access::TenantName("a/b"), "").find('/') == std::string::npos);
}

TEST_CASE("QEMU's user is the one that libvirt says", "[boot]") {
  auto with = [](const std::string& model, const std::string& label) {
    return libvirt::read_qemu_user(
        "<capabilities><host><secmodel><model>apparmor</model></secmodel>"
        "<secmodel><model>" +
        model + "</model><baselabel type='kvm'>" + label +
        "</baselabel></secmodel></host></capabilities>");
  };
  CHECK(with("dac", "+64055:+107").user == 64055);
  CHECK(with("dac", "+64055:+107").group == 107);
  CHECK(with("dac", "+0:+0").user == 0);
  // Else the one of the distribution, whatever it is here.
  for (const char* label : {"", "+", "64055:107", "+1x:+2", "+1:+", "+1:2:3", "+-1:+2"})
    CHECK(with("dac", label).user == with("selinux", "+1:+1").user);
}

}  // namespace appliance::boot
