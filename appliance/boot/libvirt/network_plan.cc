#include "appliance/boot/libvirt/network_plan.h"

#include <fmt/format.h>

#include <fstream>
#include <pugixml.hpp>
#include <set>
#include <sstream>

#include "appliance/boot/libvirt/isolation_rules.h"
#include "base/crypto.h"
#include "base/error.h"

namespace appliance::boot::libvirt {
namespace {

constexpr unsigned int kFirstSubnet = 200;  // away from what routers and libvirt itself tend to use
constexpr unsigned int kLastSubnet = 250;

}  // namespace

unsigned int free_subnet(const std::string& routes) {
  std::set<unsigned int> taken;
  std::istringstream lines(routes);
  std::string line;
  std::getline(lines, line);  // the headings
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string interface;
    unsigned long destination = 0, gateway = 0, mask = 0;
    std::string flags, references, use, metric;
    words >> interface >> std::hex >> destination >> gateway >> flags >> references >> use >>
        metric >> mask;
    if (mask == 0) continue;  // the default route
    // Numbers are in network order as a little-endian host reads them: the first byte is the
    // lowest.
    for (unsigned int third = kFirstSubnet; third <= kLastSubnet; ++third) {
      unsigned long subnet = 192u | 168u << 8 | third << 16;
      if ((subnet & mask & 0xffffff) == (destination & 0xffffff & mask)) taken.insert(third);
    }
  }
  for (unsigned int third = kFirstSubnet; third <= kLastSubnet; ++third) {
    if (!taken.contains(third)) return third;
  }
  throw base::Error(base::ErrorCode::unavailable, "no private subnet is free for a network of VMs");
}

std::string network_xml(const NetworkPlan& plan) {
  std::ifstream file("/proc/net/route");
  std::stringstream routes;
  routes << file.rdbuf();
  unsigned int third = free_subnet(routes.str());
  pugi::xml_document document;
  pugi::xml_node network = document.append_child("network");
  network.append_child("name").text() = plan.name.c_str();
  bool nat = plan.mode == NetworkMode::nat;
  if (nat) network.append_child("forward").append_attribute("mode") = "nat";
  pugi::xml_node bridge = network.append_child("bridge");
  // At most 15 characters; two appliances on one host have differently named networks.
  bridge.append_attribute("name") = fmt::format("{}{}", nat ? "muln" : kIsolatedBridgePrefix,
                                                base::to_hex(base::random_array<4>()))
                                        .c_str();
  bridge.append_attribute("stp") = "off";
  bridge.append_attribute("delay") = "0";
  // An isolated VM may not resolve names of the outside world.
  if (!nat) network.append_child("dns").append_attribute("enable") = "no";
  pugi::xml_node ip = network.append_child("ip");
  ip.append_attribute("address") = fmt::format("192.168.{}.1", third).c_str();
  ip.append_attribute("netmask") = "255.255.255.0";
  pugi::xml_node range = ip.append_child("dhcp").append_child("range");
  range.append_attribute("start") = fmt::format("192.168.{}.10", third).c_str();
  range.append_attribute("end") = fmt::format("192.168.{}.250", third).c_str();
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

}  // namespace appliance::boot::libvirt
