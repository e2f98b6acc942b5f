#include "appliance/boot/libvirt/isolation_rules.h"

#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::boot::libvirt {
namespace {

using Words = std::vector<std::string>;

constexpr char kChain[] = "MULETTO_ISOLATED";
constexpr std::chrono::seconds kPatience{20};

// The host's rules are one thing for all hypervisors of this process: a chain that two fill at once
// would have its rules in any order.
std::mutex& rules_mutex() {
  static std::mutex mutex;
  return mutex;
}

base::CommandResult iptables(const Words& words) {
  Words command{"iptables", "-w", "10"};
  command.insert(command.end(), words.begin(), words.end());
  return base::run_command(command, kPatience);
}

void expect_iptables(const Words& words) {
  base::CommandResult result = iptables(words);
  if (result.status == 0) return;
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("isolated VMs cannot be kept away from this host: iptables: {}",
                                base::trim(result.errors)));
}

// What is done with whatever comes in from an isolated bridge.
Words jump(const char* action) {
  return {action, "INPUT", "-i", std::string(kIsolatedBridgePrefix) + "+", "-j", kChain};
}

bool any_isolated_bridge() {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", failure)) {
    if (entry.path().filename().string().starts_with(kIsolatedBridgePrefix)) return true;
  }
  return static_cast<bool>(failure);
}

}  // namespace

void guard_isolated_bridges() {
  std::lock_guard<std::mutex> one_at_a_time(rules_mutex());
  if (iptables(jump("-C")).status == 0) return;
  iptables({"-N", kChain});  // there already, after a firewall was reloaded
  expect_iptables({"-F", kChain});
  expect_iptables({"-A", kChain, "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "RETURN"});
  expect_iptables({"-A", kChain, "-p", "udp", "--dport", "67", "-j", "RETURN"});
  expect_iptables({"-A", kChain, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"});
  expect_iptables({"-A", kChain, "-j", "REJECT"});
  expect_iptables(jump("-I"));
}

void release_isolated_bridges() {
  std::lock_guard<std::mutex> one_at_a_time(rules_mutex());
  try {
    if (any_isolated_bridge() || iptables(jump("-C")).status != 0) return;
    expect_iptables(jump("-D"));
    expect_iptables({"-F", kChain});
    expect_iptables({"-X", kChain});
  } catch (const base::Error& error) {
    base::log().warn("the rules of isolated networks stay: {}", error.message());
  }
}

}  // namespace appliance::boot::libvirt
