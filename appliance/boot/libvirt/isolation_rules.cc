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

// The host's rules are shared by all hypervisors of this process: if two filled the chain at once,
// its rules would be in any order.
std::mutex& rules_mutex() {
  static std::mutex mutex;
  return mutex;
}

// One of the two programs: rules for IPv4 and for IPv6 are separate.
struct Family {
  const char* program;
  std::vector<Words> rules;  // of the chain, in order
};

const std::vector<Family>& families() {
  const Words established{"-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "RETURN"};
  const Words no_connection{"-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"};
  static const std::vector<Family> both{
      {"iptables",
       {established,
        {"-p", "udp", "--dport", "67", "-j", "RETURN"},
        no_connection,
        {"-j", "REJECT"}}},
      {"ip6tables", {established, no_connection, {"-j", "REJECT"}}}};
  return both;
}

base::CommandResult run(const Family& family, const Words& words) {
  Words command{family.program, "-w", "10"};
  command.insert(command.end(), words.begin(), words.end());
  return base::run_command(command, kPatience);
}

void expect(const Family& family, const Words& words) {
  base::CommandResult result = run(family, words);
  if (result.status == 0) return;
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("isolated VMs cannot be kept away from this host: {}: {}",
                                family.program, base::trim(result.errors)));
}

// What happens to everything that comes in from an isolated bridge.
Words jump(const char* action) {
  return {action, "INPUT", "-i", std::string(kIsolatedBridgePrefix) + "+", "-j", kChain};
}

Words with(Words first, const Words& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

// The chain as it is listed: its name, its rules, and nothing else.
bool is_whole(const Family& family) {
  base::CommandResult listed = run(family, {"-S", kChain});
  if (listed.status != 0) return false;
  size_t count = 0;
  for (const std::string& line : base::split(listed.output, '\n'))
    count += line.starts_with("-A ") ? 1 : 0;
  if (count != family.rules.size()) return false;
  for (const Words& rule : family.rules) {
    if (run(family, with({"-C", kChain}, rule)).status != 0) return false;
  }
  return true;
}

// A machine without IPv6 has no rules for it.
bool is_there(const Family& family) {
  std::error_code ignored;
  return std::string_view(family.program) == "iptables" ||
         std::filesystem::exists("/proc/sys/net/ipv6", ignored);
}

// Whether something had to be done.
bool guard(const Family& family) {
  bool is_filled = is_whole(family), is_used = run(family, jump("-C")).status == 0;
  if (is_filled && is_used) return false;
  if (!is_filled) {
    run(family, {"-N", kChain});  // exists already, after it was flushed
    expect(family, {"-F", kChain});
    for (const Words& rule : family.rules) expect(family, with({"-A", kChain}, rule));
  }
  if (!is_used) expect(family, jump("-I"));
  return true;
}

void release(const Family& family) {
  if (run(family, jump("-C")).status != 0) return;
  expect(family, jump("-D"));
  expect(family, {"-F", kChain});
  expect(family, {"-X", kChain});
}

bool any_isolated_bridge() {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", failure)) {
    if (entry.path().filename().string().starts_with(kIsolatedBridgePrefix)) return true;
  }
  return static_cast<bool>(failure);
}

}  // namespace

bool guard_isolated_bridges() {
  std::lock_guard<std::mutex> one_at_a_time(rules_mutex());
  bool changed = false;
  for (const Family& family : families()) {
    if (is_there(family)) changed |= guard(family);
  }
  return changed;
}

bool keep_guarding_isolated_bridges() { return any_isolated_bridge() && guard_isolated_bridges(); }

void release_isolated_bridges() {
  std::lock_guard<std::mutex> one_at_a_time(rules_mutex());
  try {
    if (any_isolated_bridge()) return;
    for (const Family& family : families()) {
      if (is_there(family)) release(family);
    }
  } catch (const base::Error& error) {
    base::log().warn("the rules of isolated networks stay: {}", error.message());
  }
}

}  // namespace appliance::boot::libvirt
