#include "appliance/verify/verify_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "appliance/verify/guest_prober.h"
#include "appliance/verify/judging.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/internal_errors.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::chrono::milliseconds kWake{500};
constexpr std::chrono::seconds kRetryClean{3};
constexpr uint32_t kLearnedFrom = 3;  // passes whose common answers are required from then on
constexpr uint32_t kLookedAt = 100;   // test boots searched for those passes

std::vector<std::string> texts_of(const std::string& text) {
  json parsed = base::find_json(text, base::kOwnJsonLimits).value_or(json());
  std::vector<std::string> texts;
  if (!parsed.is_array()) return texts;
  for (const json& each : parsed) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  return texts;
}

bool contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// What was taught about the machine, newest first.
TaughtTexts taught_texts(catalog::Catalog& catalog, const access::TenantName& tenant,
                         const std::string& machine_name) {
  TaughtTexts taught{{}, names_of_machine(machine_name)};
  for (const catalog::TaughtRule& each : catalog.taught_rules(tenant, machine_name)) {
    taught.rules.push_back(
        {each.number, each.means_up, texts_of(each.lines), texts_of(each.tolerated)});
  }
  return taught;
}

boot::BootSettings worker_settings(const boot::BootSettings& common, uint32_t number) {
  boot::BootSettings settings = common;
  settings.state_directory = fmt::format("{}/verify/{}", common.state_directory, number);
  settings.run_directory = fmt::format("{}/verify/{}", common.run_directory, number);
  // Two appliances may share one libvirt.
  size_t hash = std::hash<std::string>()(common.state_directory) & 0xffffff;
  settings.isolated_network = fmt::format("muletto-test-{:06x}-{}", hash, number);
  for (const std::string& path : {settings.state_directory, settings.run_directory}) {
    std::filesystem::create_directory(base::parent_path(path));
    std::filesystem::create_directory(path);
    // QEMU's user must pass through, as for other VMs.
    for (const std::string& each : {base::parent_path(path), path}) {
      std::filesystem::permissions(each, static_cast<std::filesystem::perms>(0711));
    }
  }
  return settings;
}

}  // namespace

struct VerifyService::Worker {
  boot::BootSettings settings;
  std::unique_ptr<boot::BootService> boots;
};

VerifyService::VerifyService(VerifySettings settings, boot::Hypervisor& hypervisor,
                             boot::GuestWatch& watch, catalog::Catalog& catalog,
                             stores::TenantStores& stores, jobs::JobRunner& jobs)
    : settings_(std::move(settings)), hypervisor_(hypervisor), watch_(watch), catalog_(catalog),
      stores_(stores), jobs_(jobs), keys_(settings_.boot.state_directory + "/volume-keys") {
  for (uint32_t number = 1; number <= settings_.worker_count; ++number) {
    workers_.emplace_back(
        fmt::format("test boots {}", number), base::AfterFailure::begin_again,
        [this, number](const std::stop_token& stop) { run_worker(number, stop); });
  }
}

VerifyService::~VerifyService() { stop(); }

void VerifyService::stop() {
  std::vector<jobs::JobId> running;
  {
    auto state = state_.lock();
    state->stopping = true;
    running = state->running_ids;
  }
  for (jobs::JobId id : running) {
    try {
      jobs_.cancel(id);
    } catch (const Error&) {
      // It has just ended.
    }
  }
  changed_.notify_all();
  for (base::GuardedThread& each : workers_) each.request_stop();
  workers_.clear();
}

jobs::JobId VerifyService::submit(const jobs::JobSpec& spec, Work work) {
  auto state = state_.lock();
  for (const Task& task : state->queue) {
    if (task.unit == spec.unit) return task.job->id();
  }
  if (state->stopping) throw Error(ErrorCode::busy, "the daemon is stopping");
  if (state->queue.size() >= settings_.queue_size) {
    throw Error(
        ErrorCode::busy,
        fmt::format("{} test boots are already waiting, and {} run at a time; try again later",
                    state->queue.size(), settings_.worker_count));
  }
  std::shared_ptr<jobs::AttachedJob> job = jobs_.attach(spec);
  jobs::JobId id = job->id();
  job->context().set_progress({0, 0, "waiting for its turn"});
  state->queue.push_back({std::move(job), std::move(work), spec.unit});
  changed_.notify_one();
  return id;
}

jobs::JobId VerifyService::request(const access::TenantName& tenant,
                                   const std::string& point_selector, const std::string& why,
                                   const access::Requester& requested_by) {
  auto writer = stores_.writer(tenant);
  images::PointId point = writer->reader().find_point(point_selector);
  std::string machine = writer->reader().read_point(point).machine_name;
  // A test boot without a named point is queued only once per machine, and tests the newest point
  // when its turn comes.
  bool is_automatic = why == "sync" || why == "nightly";
  std::string unit = is_automatic ? fmt::format("verify newest of {} {}", tenant.text(), machine)
                                  : "verify " + point.hex();
  return submit({"verify", tenant, machine, requested_by, unit},
                [=, this](Worker& worker, jobs::JobContext& context) {
                  images::PointId newest = point;
                  if (is_automatic)
                    newest = stores_.writer(tenant)->reader().find_point(machine + "@latest");
                  verify_point(worker, tenant, newest, why, context);
                });
}

jobs::JobId VerifyService::request_bisect(const access::TenantName& tenant,
                                          const std::string& machine_name,
                                          const access::Requester& requested_by) {
  catalog_.machine(tenant, machine_name);
  return submit({"bisect", tenant, machine_name, requested_by,
                 fmt::format("bisect {} {}", tenant.text(), machine_name)},
                [=, this](Worker& worker, jobs::JobContext& context) {
                  bisect(worker, tenant, machine_name, context);
                });
}

void VerifyService::run_worker(uint32_t number, const std::stop_token& stop) {
  Worker worker;
  bool is_clean = false;
  while (!stop.stop_requested()) {
    if (!is_clean) {
      try {
        if (!worker.boots) {
          worker.settings = worker_settings(settings_.boot, number);
          worker.boots = std::make_unique<boot::BootService>(worker.settings, hypervisor_);
        }
        clean(worker);
        is_clean = true;
        waiting_log_.lock()->solved();
      } catch (const std::exception& error) {
        waiting_log_.lock()->warn(std::string("test boots wait: ") + error.what());
        auto state = state_.lock();
        state.wait_for(changed_, kRetryClean, [&] { return stop.stop_requested(); });
        continue;
      }
    }
    Task task;
    {
      auto state = state_.lock();
      state.wait_for(changed_, kWake,
                     [&] { return stop.stop_requested() || !state->queue.empty(); });
      if (stop.stop_requested()) return;
      if (state->queue.empty()) continue;
      task = std::move(state->queue.front());
      state->queue.pop_front();
      state->running_ids.push_back(task.job->id());
    }
    try {
      task.job->context().throw_if_stopped();
      task.work(worker, task.job->context());
      task.job->succeed();
    } catch (const Error& error) {
      task.job->fail(error);
    } catch (...) {
      std::string words = base::describe_exception(std::current_exception());
      base::report_internal_error("a test boot", words);
      task.job->fail(Error(ErrorCode::io, "unexpected failure: " + words));
    }
    std::erase(state_.lock()->running_ids, task.job->id());
    // The disk may have been full, or libvirt unavailable, when it should have been cleaned.
    is_clean = false;
  }
}

// Test boots never outlive the daemon that started them.
void VerifyService::clean(Worker& worker) {
  worker.boots->adopt();
  for (const boot::InstantVm& vm : worker.boots->list(access::TenantScope::all())) {
    if (!worker.boots->is_own(vm)) continue;
    base::log().info("the test boot of {} was interrupted and is cleaned up", vm.machine_name);
    worker.boots->stop(vm.id);
  }
  watch_.remove_network(worker.settings.isolated_network);
}

std::vector<Expectation> VerifyService::expectations(const access::TenantName& tenant,
                                                     const std::string& machine_name) {
  return expectations_of(tenant, machine_name, std::numeric_limits<uint64_t>::max());
}

std::vector<Expectation> VerifyService::expectations_of(const access::TenantName& tenant,
                                                        const std::string& machine_name,
                                                        uint64_t point_order) {
  std::vector<Expectation> expected;
  catalog::MachineChecks known = catalog_.machine_checks(tenant, machine_name);
  std::vector<std::string> asked = texts_of(known.asked);
  for (const std::string& check : asked) expected.push_back({check, false});
  std::vector<std::string> common;
  uint32_t count = 0;
  for (const auto& seen : catalog_.verifications(tenant, machine_name, kLookedAt)) {
    if (seen.verdict != verdict_name(VerdictKind::pass)) continue;
    if (seen.started_ms < known.learn_from_ms || seen.point_order > point_order) continue;
    std::vector<std::string> answered = texts_of(seen.checks);
    if (count == 0) common = answered;
    std::erase_if(common, [&](const std::string& each) { return !contains(answered, each); });
    if (++count == kLearnedFrom) break;
  }
  for (const std::string& check : common) {
    if (!contains(asked, check)) expected.push_back({check, true});
  }
  return expected;
}

catalog::Verification VerifyService::verify_point(Worker& worker, const access::TenantName& tenant,
                                                  const images::PointId& point,
                                                  const std::string& why,
                                                  jobs::JobContext& context) {
  auto writer = stores_.writer(tenant);
  images::Point manifest = writer->reader().read_point(point);
  catalog::Verification seen;
  seen.tenant = tenant;
  seen.machine_name = manifest.machine_name;
  seen.point = point;
  seen.point_time_ms = manifest.time_ms;
  seen.point_order = manifest.dates.order;
  seen.why = why;
  seen.started_ms = base::now_ms();
  seen.begun_steady_ms = base::steady_ms();
  TestBootPlan plan;
  plan.source.reader = &writer->reader();
  plan.source.store = {stores_.directory_of(tenant), stores_.key_file_of(tenant), ""};
  plan.source.tenant = tenant;
  plan.requested_by = context.requested_by();
  plan.source.damaged_points = catalog_.damaged_points(tenant);
  plan.point = point;
  plan.expected = expectations_of(tenant, manifest.machine_name, manifest.dates.order);
  plan.limits = settings_.limits;
  plan.taught = taught_texts(catalog_, tenant, manifest.machine_name);
  plan.scripts_directory = settings_.boot.state_directory + "/checks";
  plan.plugin_path = settings_.boot.plugin_path;
  // Watching for minutes must not keep the store open: its disk may go away and come back.
  plan.on_start = [&writer] { writer.reset(); };
  plan.reopen = [&] {
    writer = stores_.writer(tenant);
    return &writer->reader();
  };
  plan.volume_keys = keys_.of(tenant, manifest.machine_name);
  plan.on_pass = [&](const TestBootResult& result) { record(seen, plan, result, false, context); };
  TestBootResult result;
  try {
    result = run_test_boot(*worker.boots, watch_, plan, context);
  } catch (...) {
    watch_.remove_network(worker.settings.isolated_network);
    throw;
  }
  watch_.remove_network(worker.settings.isolated_network);
  record(seen, plan, result, true, context);
  return seen;
}

void VerifyService::record(catalog::Verification& seen, const TestBootPlan& plan,
                           const TestBootResult& result, bool settled, jobs::JobContext& context) {
  seen.settled = settled;
  seen.verdict = verdict_name(result.verdict.kind);
  seen.reasons = base::dump_text(result.verdict.reasons);
  seen.checks = base::dump_text(good_checks(result.evidence));
  seen.evidence = observations_text(result.evidence);
  seen.judging = judging_text({result.evidence, plan.expected, plan.limits, plan.taught,
                               result.seen_ms, result.verdict.rule});
  seen.serial = result.serial;
  seen.recovery_ms.reset();
  if (result.verdict.service_ms) seen.recovery_ms = result.start_ms + *result.verdict.service_ms;
  seen.decisive_ms = result.verdict.decisive_ms;
  seen.judged_ms = result.judged_ms;
  seen.duration_ms = base::steady_ms() - seen.begun_steady_ms;
  if (seen.number == 0) seen.number = catalog_.add_verification(seen, result.pictures);
  else catalog_.replace_verification(seen, result.pictures);
  context.log(fmt::format("{}: {}", seen.verdict,
                          result.verdict.reasons.empty() ? "" : result.verdict.reasons.front()));
  context.set_figures(base::dump_text({{"verification", seen.number},
                                       {"verdict", seen.verdict},
                                       {"settled", settled},
                                       {"point", seen.point.hex()}}));
  if (settled && settings_.on_verdict) settings_.on_verdict(seen.tenant, seen.point);
}

// Points before the newest good one are assumed to be good, those after it bad. An inconclusive one
// counts as bad: it must not be called the newest that boots.
void VerifyService::bisect(Worker& worker, const access::TenantName& tenant,
                           const std::string& machine_name, jobs::JobContext& context) {
  std::vector<images::PointSummary> points =
      stores_.writer(tenant)->reader().points_of(machine_name);
  // All before `good` boot, as far as known; those in [bad, end) do not.
  size_t good = 0, bad = points.size();
  std::optional<images::PointId> newest;
  while (good < bad) {
    size_t middle = good + (bad - good) / 2;
    catalog::Verification seen = verify_point(worker, tenant, points[middle].id, "bisect", context);
    if (seen.verdict == verdict_name(VerdictKind::pass)) {
      newest = points[middle].id;
      good = middle + 1;
    } else {
      bad = middle;
    }
  }
  if (!newest) {
    throw Error(ErrorCode::not_found,
                fmt::format("none of the tested points of {} boots", machine_name));
  }
  context.log(fmt::format("the newest point that boots is {}, of {}", newest->hex(),
                          base::format_time_ms(points[good - 1].time_ms)));
  context.set_figures(base::dump_text({{"point", newest->hex()}, {"verdict", "pass"}}));
}

void VerifyService::set_checks(const access::TenantName& tenant, const std::string& machine_name,
                               const std::vector<std::string>& checks) {
  catalog_.machine(tenant, machine_name);
  for (const std::string& each : checks) check_expectation(each);
  catalog::MachineChecks known = catalog_.machine_checks(tenant, machine_name);
  known.asked = base::dump_text(checks);
  catalog_.set_machine_checks(tenant, machine_name, known);
}

void VerifyService::relearn(const access::TenantName& tenant, const std::string& machine_name) {
  catalog_.machine(tenant, machine_name);
  catalog::MachineChecks known = catalog_.machine_checks(tenant, machine_name);
  known.learn_from_ms = base::now_ms();
  catalog_.set_machine_checks(tenant, machine_name, known);
}

catalog::ProvedRecovery VerifyService::recovery(const access::TenantName& tenant,
                                                const std::string& machine_name) {
  return catalog::proved_recovery(
      catalog_.recovery_times(tenant, machine_name, catalog::kRecoveryFrom));
}

}  // namespace appliance::verify
