#include "appliance/boot/host/identity_conflicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/crypto.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

constexpr uint64_t kAliveMs =
    30'000;  // a machine that sent something this recently is taken to be alive
constexpr const char* kWayOut =
    "choose another network (such as isolated:NAME), or start it with fresh MAC addresses "
    "(--fresh-macs)";

bool same_mac(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string network_words(const VmNetworkCard& card) {
  return card.mode == NetworkMode::bridge ? "bridge " + card.source : "network " + card.source;
}

bool shares_network(const VmNetworkCard& card, const InstantVm& vm) {
  return std::any_of(vm.network_cards.begin(), vm.network_cards.end(),
                     [&](const VmNetworkCard& other) { return other.source == card.source; });
}

}  // namespace

std::vector<std::string> identity_conflicts(
    const JoiningVm& joining, const std::vector<InstantVm>& others,
    const std::vector<CardInUse>& in_use, const std::vector<ForwardingEntry>& forwarding_entries) {
  std::vector<std::string> reasons;
  for (const VmNetworkCard& card : joining.cards) {
    for (const InstantVm& vm : others) {
      bool same_machine = vm.machine_name == joining.machine_name && vm.tenant == joining.tenant;
      if (joining.has_fresh_macs || !same_machine || vm.domain_name == joining.domain_name ||
          !shares_network(card, vm))
        continue;
      reasons.push_back(
          fmt::format("the same machine is on {} already, as the instant VM {}: stop that one, {}",
                      network_words(card), vm.id.hex(), kWayOut));
    }
    for (const CardInUse& each : in_use) {
      if (each.source != card.source || !same_mac(each.mac, card.mac) ||
          each.domain_name == joining.domain_name)
        continue;
      reasons.push_back(fmt::format(
          "its MAC address {} is on {} already, in the virtual machine '{}': stop that one, {}",
          card.mac, network_words(card), each.domain_name, kWayOut));
    }
    for (const ForwardingEntry& each : forwarding_entries) {
      if (each.bridge != card.source || !same_mac(each.mac, card.mac) || each.age_ms > kAliveMs)
        continue;
      reasons.push_back(
          fmt::format("a machine with its MAC address {} was seen on bridge {} {} ago, so the "
                      "original seems to "
                      "be alive: switch it off and try again after {}, {}",
                      card.mac, card.source, base::format_duration_ms(each.age_ms),
                      base::format_duration_ms(kAliveMs), kWayOut));
    }
  }
  // A machine of ours is found by name and by address: once is enough.
  std::sort(reasons.begin(), reasons.end());
  reasons.erase(std::unique(reasons.begin(), reasons.end()), reasons.end());
  return reasons;
}

std::string isolated_network_name(const std::string& base_name, const access::TenantName& owner,
                                  const std::string& name) {
  std::string result = base_name;
  const std::string& tenant = owner.text();
  if (tenant.empty() || (tenant == access::kDefaultTenant && name.empty())) {
    // As it always was called.
  } else {
    // Tenants may have names that libvirt does not accept: then a number is used instead.
    bool plain = std::all_of(tenant.begin(), tenant.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '_';
    });
    constexpr size_t kTenantLimit = 32;
    result += "." + (plain && tenant.size() <= kTenantLimit
                         ? tenant
                         : base::to_hex(base::sha256(base::as_bytes(tenant))).substr(0, 12));
  }
  return name.empty() ? result : result + "." + name;
}

}  // namespace appliance::boot
