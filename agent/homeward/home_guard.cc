#include "agent/homeward/home_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/homeward/home_record.h"
#include "agent/libvirt/kept_domain.h"
#include "agent/state_layout.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxFile = 64 << 10;  // bytes
constexpr size_t kMaxWord = 1024;      // bytes
constexpr char kSuffix[] = ".kept-off";

KeptOff parse(const json& text) {
  KeptOff kept;
  kept.wanted.machine = base::expect_text(text, "machine", kMaxWord);
  kept.wanted.boot = base::expect_text(text, "boot", kMaxWord);
  kept.wanted.after = base::expect_natural(text, "after");
  kept.domain = base::expect_text(text, "domain", kMaxWord);
  kept.autostart = base::expect_flag(text, "autostart");
  kept.is_tolerated = base::expect_flag(text, "tolerated");
  kept.host_boot = base::expect_text(text, "host_boot", kMaxWord);
  kept.generation = base::expect_natural(text, "generation");
  kept.ended_count = base::expect_natural(text, "ended_count");
  kept.last_ended_ms = base::expect_natural(text, "last_ended_ms");
  return kept;
}

KeptOff load(const std::string& path) {
  return parse(base::parse_json(base::read_private_file(path, kMaxFile), path));
}

std::string domain_of(const Config& config, const std::string& machine) {
  auto known = config.machines.find(machine);
  bool has_name = known != config.machines.end() && !known->second.domain.empty();
  return has_name ? known->second.domain : machine;
}

}  // namespace

bool began_before_instant_vm(uint64_t host_uptime_ms, uint64_t instant_vm_age_ms) {
  // After a boot of the host nothing is older than that boot.
  return host_uptime_ms > instant_vm_age_ms;
}

uint64_t kept_off_generation(const std::string& state_directory, std::string_view machine_name) {
  try {
    return load(kept_off_path(state_directory, machine_name)).generation;
  } catch (const Error&) {
    return 0;
  }
}

HomeGuard::HomeGuard(const Config& config) : config_(config) {
  std::error_code unknown;
  auto state = state_.lock();
  for (const auto& entry :
       std::filesystem::directory_iterator(config.state_directory + "/machines", unknown)) {
    if (!entry.path().string().ends_with(kSuffix)) continue;
    try {
      KeptOff kept = load(entry.path());
      // Nobody watched until now.
      ++kept.generation;
      save(kept);
      state->kept[kept.wanted.machine] = std::move(kept);
    } catch (const Error& error) {
      base::log().error("which machine must not run here cannot be read: {}", error.message());
    }
  }
  thread_ = base::GuardedThread("home guard", base::AfterFailure::begin_again,
                                [this](const std::stop_token& stop) { run(stop); });
}

HomeGuard::~HomeGuard() = default;

void HomeGuard::set(const std::vector<KeptOffMachine>& wanted) { state_.lock()->wanted = wanted; }

json HomeGuard::reports() {
  json reports = json::array();
  auto state = state_.lock();
  for (const auto& [name, kept] : state->kept) {
    json report{{"machine", name},
                {"boot", kept.wanted.boot},
                {"runs", kept.is_tolerated},
                {"ended_count", kept.ended_count}};
    if (kept.last_ended_ms != 0) report["last_ended"] = base::format_time_ms(kept.last_ended_ms);
    if (!kept.problem.empty()) report["error"] = kept.problem;
    reports.push_back(std::move(report));
  }
  return reports;
}

void HomeGuard::save(const KeptOff& kept) const {
  json text{{"machine", kept.wanted.machine},  {"boot", kept.wanted.boot},
            {"after", kept.wanted.after},      {"domain", kept.domain},
            {"autostart", kept.autostart},     {"tolerated", kept.is_tolerated},
            {"host_boot", kept.host_boot},     {"generation", kept.generation},
            {"ended_count", kept.ended_count}, {"last_ended_ms", kept.last_ended_ms}};
  base::write_private_file(kept_off_path(config_.state_directory, kept.wanted.machine),
                           base::dump_text(text, 1) + "\n");
}

libvirt::KeptDomains& HomeGuard::domains() {
  if (!domains_) domains_.emplace(config_.libvirt_uri);
  return *domains_;
}

// The state's lock is not held while libvirt is asked: polls go on if it hangs.
void HomeGuard::run(const std::stop_token& stop) {
  do {
    State now;
    {
      auto state = state_.lock();
      now.kept = state->kept;
      now.wanted = std::move(state->wanted);
      state->wanted.reset();
    }
    if (now.wanted) take(now);
    for (auto& [name, kept] : now.kept) {
      try {
        look(kept);
      } catch (const Error& error) {
        domains_.reset();
        if (kept.problem.empty())
          base::log().error("{} cannot be kept off here: {}", name, error.message());
        kept.problem = error.message();
      }
    }
    if (now.kept.empty()) domains_.reset();
    state_.lock()->kept = std::move(now.kept);
  } while (base::sleep_unless_stopped(stop, kLookEvery));
}

void HomeGuard::take(State& now) {
  std::map<std::string, KeptOffMachine> wanted;
  for (const KeptOffMachine& each : *now.wanted) wanted[each.machine] = each;
  std::vector<std::string> lifted;
  for (auto& [name, kept] : now.kept) {
    auto same = wanted.find(name);
    if (same == wanted.end()) {
      if (lift(kept)) lifted.push_back(name);
    } else if (same->second.boot != kept.wanted.boot || same->second.after != kept.wanted.after) {
      kept.wanted = same->second;  // another instant VM of it, or another turn: still nobody here
      if (!kept.host_boot.empty()) save(kept);
    }
  }
  for (const std::string& name : lifted) now.kept.erase(name);
  for (const auto& [name, each] : wanted) {
    if (now.kept.contains(name)) continue;
    KeptOff kept;
    kept.wanted = each;
    kept.domain = domain_of(config_, name);
    now.kept[name] = std::move(kept);
  }
}

void HomeGuard::look(KeptOff& kept) {
  auto record = load_home_record(config_.state_directory, kept.wanted.machine);
  if (record && record->allows(kept.wanted.boot, kept.wanted.after)) {
    kept.problem.clear();
    return;
  }
  libvirt::KeptDomain domain =
      domains().look(record && !record->domain.empty() ? record->domain : kept.domain);
  kept.problem.clear();
  const bool is_new = kept.host_boot.empty();
  if (is_new) {
    kept.host_boot = base::machine_boot_id();
    kept.autostart = domain.autostart;
    kept.is_tolerated =
        domain.running && began_before_instant_vm(base::steady_ms(), kept.wanted.age_ms);
    save(kept);  // before anything is changed, so that it can be changed back
    base::log().warn("{} runs as an instant VM on the appliance: it is kept off here{}",
                     kept.wanted.machine,
                     kept.is_tolerated ? ", once the one that runs now has ended" : "");
  }
  if (domain.autostart) {
    if (!kept.autostart) {
      kept.autostart = true;
      save(kept);
    }
    domains().set_autostart(domain.name, false);
  }
  if (kept.is_tolerated && (!domain.running || kept.host_boot != base::machine_boot_id())) {
    kept.is_tolerated = false;
    ++kept.generation;
    save(kept);
  }
  if (!domain.running || kept.is_tolerated) return;
  // The order to start it may have come since the record was read.
  record = load_home_record(config_.state_directory, kept.wanted.machine);
  if (record && record->allows(kept.wanted.boot, kept.wanted.after)) return;
  ++kept.generation;
  ++kept.ended_count;
  kept.last_ended_ms = base::now_ms();
  save(kept);
  domains().end(domain.name);
  base::log().error(
      "{} was started here while it runs as the instant VM {} on the appliance; it was ended at "
      "once. Bring it home with 'muletto failback', or stop the instant VM first",
      kept.wanted.machine, kept.wanted.boot);
}

bool HomeGuard::lift(const KeptOff& kept) {
  try {
    if (kept.autostart) {
      auto record = load_home_record(config_.state_directory, kept.wanted.machine);
      domains().set_autostart(record && !record->domain.empty() ? record->domain : kept.domain,
                              true);
    }
    std::filesystem::remove(kept_off_path(config_.state_directory, kept.wanted.machine));
    base::log().info("{} may run here again", kept.wanted.machine);
    return true;
  } catch (const Error& error) {
    domains_.reset();
    base::log().warn("autostart of {} cannot be switched on again yet: {}", kept.wanted.machine,
                     error.message());
    return error.code() == ErrorCode::not_found;
  }
}

}  // namespace agent::homeward
