#include "appliance/schedule/slow_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "appliance/alerts/encryption_watch.h"
#include "appliance/schedule/alert_watch.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

using alerts::Condition;
using nlohmann::json;

constexpr uint64_t kEvery_ms = 60'000, kHour_ms = 3'600'000, kDay_ms = 24 * kHour_ms;
constexpr uint32_t kInARow = 3;
constexpr uint32_t kSyncsJudged = 200;
constexpr uint64_t kWarnBeforeFull_ms = 14 * kDay_ms;
constexpr uint64_t kSampleEvery_ms = 6 * kHour_ms;
constexpr size_t kSamplesKept = 120;
constexpr uint64_t kHeldFor_ms = 90 * kDay_ms;
constexpr std::chrono::seconds kToolPatience{30};
constexpr size_t kMaxDisks = 64;
constexpr uint64_t kMaxMdstat = 1 << 20;  // bytes

Condition of_the_appliance(const char* kind, std::string subject, std::string message) {
  return {kind, catalog::TenantName(catalog::kDefaultTenant), std::move(subject),
          std::move(message)};
}

// Of one machine, oldest first. The very first sync of a machine stores everything.
std::vector<alerts::SyncVolume> volumes_of(catalog::Catalog& catalog,
                                           const catalog::Machine& machine) {
  std::vector<alerts::SyncVolume> volumes;
  auto jobs = catalog.jobs({.scope = machine.tenant,
                            .state = catalog::JobState::succeeded,
                            .kind = "sync",
                            .subject = machine.name,
                            .limit = kSyncsJudged});
  for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
    auto figures = base::find_json(job->figures);
    if (!figures) continue;
    auto read = base::find_natural(*figures, "bytes_read");
    auto stored = base::find_natural(*figures, "bytes_stored");
    auto point = base::find_text(*figures, "point");
    if (read && stored && point)
      volumes.push_back({job->ended_ms.value_or(job->created_ms), *read, *stored, *point});
  }
  if (!volumes.empty() && jobs.size() < kSyncsJudged) volumes.erase(volumes.begin());
  return volumes;
}

std::vector<alerts::SpaceSample> samples_of(const std::string& text) {
  std::vector<alerts::SpaceSample> samples;
  auto list = base::find_json(text);
  if (!list || !list->is_array()) return samples;
  for (const json& each : *list) {
    auto time = base::find_natural(each, "time"), free = base::find_natural(each, "free");
    if (time && free) samples.push_back({*time, *free});
  }
  return samples;
}

std::string text_of(const std::vector<alerts::SpaceSample>& samples) {
  json list = json::array();
  for (const alerts::SpaceSample& each : samples)
    list.push_back({{"time", each.time_ms}, {"free", each.free}});
  return base::dump_text(list);
}

// Keeps what was free every six hours for a month, so that the trend survives restarts.
std::optional<Condition> forecast(catalog::Catalog& catalog, const std::string& name,
                                  const std::string& directory, uint64_t now_ms) {
  std::error_code absent;
  auto space = std::filesystem::space(directory, absent);
  if (absent) return std::nullopt;
  std::string fact = "space of " + name;
  std::vector<alerts::SpaceSample> samples = samples_of(catalog.find_fact(fact).value_or("[]"));
  // Of a clock that was ahead.
  std::erase_if(samples, [&](const alerts::SpaceSample& each) { return each.time_ms > now_ms; });
  if (samples.empty() || samples.back().time_ms + kSampleEvery_ms <= now_ms) {
    samples.push_back({now_ms, space.available});
    if (samples.size() > kSamplesKept) samples.erase(samples.begin());
    catalog.save_fact(fact, text_of(samples));
  }
  auto left_ms = alerts::time_until_full_ms(samples);
  if (!left_ms || *left_ms > kWarnBeforeFull_ms) return std::nullopt;
  return of_the_appliance(
      alerts::kStoreFills, name,
      fmt::format("the disk of {} ({}) is full in {} if it goes on as in the last {}: {} are free",
                  name, directory, base::format_count(*left_ms / kDay_ms, "day"),
                  base::format_count((now_ms - samples.front().time_ms) / kDay_ms, "day"),
                  base::format_size(space.available)));
}

json ask_smartctl(const std::vector<std::string>& command) {
  // Its exit status is a set of bits, which say what the report says.
  return base::find_json(base::run_command(command, kToolPatience).output).value_or(json());
}

bool has_program(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/usr/local/sbin/"}) {
    if (base::real_file_system().exists(folder + name)) return true;
  }
  return false;
}

}  // namespace

void SlowWatch::add_agents(std::vector<Condition>& found) {
  for (const catalog::Host& host : sources_.catalog.hosts(catalog::TenantScope::all())) {
    if (host.revoked || host.version.empty() || host.version == sources_.version ||
        host.name == catalog::kInternalHostName)
      continue;
    found.push_back({alerts::kAgentOutdated, host.tenant, host.name,
                     fmt::format("the agent of '{}' has version {}, the appliance {}", host.name,
                                 host.version, sources_.version)});
  }
}

void SlowWatch::add_compactions(const catalog::TenantName& tenant, std::vector<Condition>& found) {
  auto jobs = sources_.catalog.jobs({.scope = tenant, .kind = "compact", .limit = kInARow});
  bool all_failed =
      jobs.size() == kInARow && std::all_of(jobs.begin(), jobs.end(), [](const auto& job) {
        return job.state == catalog::JobState::failed;
      });
  if (!all_failed) return;
  found.push_back(
      {alerts::kCompactionFailing, tenant, tenant,
       fmt::format("{} compactions of the store of '{}' in a row have failed, so deleted "
                   "points keep their space: {}",
                   kInARow, tenant.text(), jobs.front().error_message)});
}

void SlowWatch::hold_clean_point(const catalog::Machine& machine, const std::string& point) {
  try {
    images::PointId id = images::PointId::from_hex(point);
    uint64_t now_ms = sources_.clock.wall_ms();
    if (sources_.catalog.holds(machine.tenant, now_ms).contains(id)) return;
    catalog::Hold hold;
    hold.point = id;
    hold.reason = "the newest point before data of '" + machine.name + "' began to look encrypted";
    hold.placed_ms = now_ms;
    hold.until_ms = now_ms + kHeldFor_ms;
    sources_.hold(machine.tenant, hold);
  } catch (const base::Error& error) {
    base::log().warn("the newest clean point of {} is not held: {}", machine.name, error.message());
  }
}

void SlowWatch::add_machine(const catalog::Machine& machine, std::vector<Condition>& found) {
  auto tests = sources_.catalog.verifications(machine.tenant, machine.name, kInARow);
  bool all_inconclusive =
      tests.size() == kInARow && std::all_of(tests.begin(), tests.end(), [](const auto& each) {
        return each.verdict == "inconclusive";
      });
  if (all_inconclusive) {
    found.push_back(
        {alerts::kVerificationInconclusive, machine.tenant, machine.name,
         fmt::format("{} test boots of '{}' in a row were inconclusive, the last one at "
                     "{}: nothing says whether it boots",
                     kInARow, machine.name, base::format_time_ms(tests.front().started_ms))});
  }
  auto suspicion = alerts::looks_encrypted(volumes_of(sources_.catalog, machine), machine.size,
                                           sources_.clock.wall_ms());
  if (!suspicion) return;
  std::string clean = "no clean point before it is known";
  if (!suspicion->clean_point.empty()) {
    hold_clean_point(machine, suspicion->clean_point);
    clean = fmt::format("the newest point before it, {} of {}, is held", suspicion->clean_point,
                        base::format_time_ms(suspicion->clean_ms));
  }
  found.push_back(
      {alerts::kDataLooksEncrypted, machine.tenant, machine.name,
       fmt::format(
           "the sync of '{}' at {} stored {} of {} read, which do not shrink, far more than "
           "this machine changes otherwise: its files may be being encrypted; {}",
           machine.name, base::format_time_ms(suspicion->first.time_ms),
           base::format_size(suspicion->first.stored), base::format_size(suspicion->first.read),
           clean)});
}

void SlowWatch::look_at_hardware(uint64_t now_ms) {
  hardware_.clear();
  for (const alerts::HardwareProblem& each : sources_.hardware()) {
    bool is_disk = each.subject.starts_with("/dev/");
    hardware_.push_back(of_the_appliance(is_disk ? alerts::kDiskErrors : alerts::kArrayDegraded,
                                         each.subject, each.message));
  }
  for (const auto& [name, directory] : sources_.directories) {
    if (auto condition = forecast(sources_.catalog, name, directory, now_ms))
      hardware_.push_back(*condition);
  }
}

void SlowWatch::round() {
  uint64_t steady = sources_.clock.steady_ms();
  if (looked_ms_ && steady < *looked_ms_ + kEvery_ms) return;
  looked_ms_ = steady;
  if (!looked_at_hardware_ms_ || steady >= *looked_at_hardware_ms_ + kHour_ms) {
    look_at_hardware(sources_.clock.wall_ms());
    looked_at_hardware_ms_ = steady;
  }
  std::vector<Condition> found = hardware_;
  add_agents(found);
  for (const catalog::Tenant& tenant : sources_.catalog.tenants(catalog::TenantScope::all())) {
    add_compactions(tenant.name, found);
    for (const catalog::Machine& machine : sources_.catalog.machines(tenant.name))
      add_machine(machine, found);
  }
  *found_.lock() = std::move(found);
}

std::vector<Condition> SlowWatch::conditions() {
  auto found = found_.lock();
  if (!*found) throw NotLookedYet();
  return **found;
}

std::vector<alerts::HardwareProblem> ask_hardware() {
  std::vector<alerts::HardwareProblem> found;
  base::FileSystem& files = base::real_file_system();
  if (files.exists("/proc/mdstat")) {
    base::Bytes mdstat = base::read_file(files, "/proc/mdstat", kMaxMdstat);
    found = alerts::mdstat_problems(base::as_text(mdstat));
  }
  if (has_program("zpool")) {
    auto pools = base::run_command({"zpool", "list", "-H", "-o", "name,health"}, kToolPatience);
    for (auto& each : alerts::zpool_problems(pools.output)) found.push_back(std::move(each));
  }
  if (!has_program("smartctl")) return found;
  size_t count = 0;
  const json scan = ask_smartctl({"smartctl", "--json", "--scan"});
  for (const json& device : base::find_list(scan, "devices")) {
    auto name = base::find_text(device, "name"), type = base::find_text(device, "type");
    if (!name || !type || ++count > kMaxDisks) continue;
    json report = ask_smartctl({"smartctl", "--json", "-i", "-H", "-A", "-d", *type, *name});
    if (auto problem = alerts::smart_problem(*name, report)) found.push_back(*std::move(problem));
  }
  return found;
}

}  // namespace appliance::schedule
