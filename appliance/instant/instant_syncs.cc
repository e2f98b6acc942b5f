#include "appliance/instant/instant_syncs.h"

#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "appliance/boot/files/overlay.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/last_words.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/repeated_log.h"

namespace appliance::instant {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kRound{500};
constexpr std::chrono::seconds kPatience{30};

// Digits of the hash of a tenant's name. State of two tenants must never be mixed up; the run
// folder contains sockets, whose paths must be short. Earlier versions had 8 for both.
constexpr size_t kStateDigits = 32, kRunDigits = 16, kOldDigits = 8;

std::string hash_of(const std::string& tenant) {
  return base::to_hex(base::sha256(base::as_bytes(tenant)));
}

// The agent's program, beside this one or in the usual folders for programs.
std::string agent_program() {
  if (const char* given = std::getenv("MULETTO_AGENT"); given != nullptr && *given != '\0')
    return given;
  std::error_code ignored;
  fs::path beside = fs::read_symlink("/proc/self/exe", ignored).parent_path() / "muletto-agent";
  return fs::exists(beside, ignored) ? beside.string() : "muletto-agent";
}

// "DONE TOTAL .", as the agent writes it (agent/service_files.h).
schedule::SyncUnderWay position_of(uint64_t order, const std::string& machine,
                                   const std::string& path) {
  schedule::SyncUnderWay position{order, machine, 0, 0};
  std::ifstream file(path);
  uint64_t done = 0, total = 0;
  std::string end;
  if (file >> done >> total >> end && end == ".") {
    position.done = done;
    position.total = total;
  }
  return position;
}

}  // namespace

InstantSyncs::InstantSyncs(InstantSyncSettings settings, catalog::Catalog& catalog,
                           const pki::Authority& authority, boot::BootService& boots,
                           Timelines& timelines, schedule::Scheduler& scheduler)
    : settings_(std::move(settings)), catalog_(catalog), authority_(authority), boots_(boots),
      timelines_(timelines), scheduler_(scheduler),
      thread_("instant syncs", base::AfterFailure::begin_again,
              [this](const std::stop_token& stop) { run(stop); }) {}

InstantSyncs::~InstantSyncs() = default;

InternalHostPlaces InstantSyncs::places_of(const std::string& tenant) const {
  std::string hash = hash_of(tenant);
  return {settings_.state_directory + "/instant/" + hash.substr(0, kStateDigits),
          settings_.run_directory + "/instant/" + hash.substr(0, kRunDigits)};
}

void InstantSyncs::take_over_old_folders() const {
  for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
    std::string now = places_of(tenant.name).state_directory;
    std::string before =
        settings_.state_directory + "/instant/" + hash_of(tenant.name).substr(0, kOldDigits);
    std::error_code failed;
    if (std::filesystem::exists(now, failed) || !std::filesystem::exists(before, failed)) continue;
    std::filesystem::rename(before, now, failed);
    if (failed) {
      base::log().warn(
          "the folder {} cannot be renamed to {}, so the next syncs of instant VMs "
          "read everything: {}",
          before, now, failed.message());
    }
  }
}

void InstantSyncs::run(const std::stop_token& stop) {
  std::map<std::string, Tenant> tenants;
  bool took_over = false;
  base::RepeatedLog log;
  // Errors of one tenant end here, so that they do not affect the others.
  auto guarded = [&](const std::string& name, const std::function<void()>& action) {
    try {
      action();
    } catch (const std::exception& error) {
      log.warn(fmt::format("instant VMs{} cannot be synced now: {}",
                           name.empty() ? "" : " of the tenant '" + name + "'", error.what()));
    }
  };
  while (!stop.stop_requested()) {
    std::vector<catalog::Tenant> known;
    guarded("", [&] {
      if (!took_over) take_over_old_folders();
      took_over = true;
      known = catalog_.tenants(catalog::TenantScope::all());
    });
    for (const catalog::Tenant& each : known) {
      guarded(each.name, [&] {
        Tenant& tenant = tenants[each.name];
        if (look(each.name, tenant)) poll(each.name, tenant);
      });
    }
    log.end_round();
    base::sleep_unless_stopped(stop, kRound);
  }
  for (auto& [name, tenant] : tenants) end(tenant);
}

bool InstantSyncs::look(const std::string& name, Tenant& tenant) {
  tenant.running.clear();
  bool any = false;
  for (const boot::InstantVm& vm : timelines_.vms(access::TenantName(name))) {
    any = true;
    try {
      boot::VmState state = boots_.get(vm.id).state;
      if (state == boot::VmState::running || state == boot::VmState::paused)
        tenant.running[vm.machine_name] = vm;
    } catch (const std::exception& error) {
      // It was stopped at this moment, or libvirt is unavailable.
      base::log().debug("{}: {}", vm.machine_name, error.what());
    }
  }
  // Someone may have revoked the appliance's own host: it is enrolled again.
  if (tenant.host) {
    auto known = catalog_.find_host(tenant.host->id);
    if (!known || known->revoked) tenant.host.reset();
  }
  if (any && !tenant.host) {
    tenant.host = ensure_internal_host(catalog_, authority_, name, places_of(name),
                                       {settings_.appliance, settings_.libvirt_uri});
    timelines_.set_host(name, tenant.host->id);
  }
  return tenant.host.has_value();
}

void InstantSyncs::poll(const std::string& name, Tenant& tenant) {
  collect(tenant);
  schedule::Poll poll;
  poll.internal = true;
  for (const auto& [machine, vm] : tenant.running) poll.machines.push_back(machine);
  poll.outcomes = tenant.outcomes;
  for (const Sync& sync : tenant.syncs)
    poll.running.push_back(position_of(sync.order, sync.machine, sync.files + ".position"));
  schedule::PollAnswer answer = scheduler_.poll(*tenant.host, poll);
  tenant.outcomes.clear();
  for (const schedule::Order& order : answer.orders) begin(tenant, name, order);
}

void InstantSyncs::begin(Tenant& tenant, const std::string& name, const schedule::Order& order) {
  auto vm = tenant.running.find(order.machine);
  if (vm == tenant.running.end()) {
    tenant.outcomes.push_back({order.id, false, "the instant VM does not run any more"});
    return;
  }
  InternalHostPlaces places = places_of(name);
  try {
    base::make_passable_directory(places.run_directory);  // QEMU creates its sockets there
    base::make_private_directory(places.run_directory + "/orders");
    std::string files = fmt::format("{}/orders/{}", places.run_directory, order.id);
    base::SubprocessOptions options;
    options.output_path = files + ".log";
    std::string origin = fmt::format("{}={}", boot::kOriginBitmap, vm->second.point.hex());
    base::Subprocess process({agent_program(), "sync", "--config", places.config_path(), "--domain",
                              vm->second.domain_name, "--origin", origin, "--quiet",
                              "--progress-file", files + ".position", "--", order.machine},
                             options);
    tenant.syncs.push_back({order.id, order.machine, files, std::move(process)});
    base::log().info("sync of the instant VM of {} started (order {})", order.machine, order.id);
  } catch (const std::exception& error) {
    tenant.outcomes.push_back({order.id, false, error.what()});
  }
}

void InstantSyncs::collect(Tenant& tenant) {
  for (auto sync = tenant.syncs.begin(); sync != tenant.syncs.end();) {
    auto status = sync->process.wait_for(std::chrono::milliseconds(0));
    if (!status) {
      ++sync;
      continue;
    }
    schedule::SyncOutcome outcome{sync->order, *status == 0, ""};
    if (!outcome.succeeded) {
      outcome.error = base::last_words(sync->files + ".log", "muletto-agent");
      if (outcome.error.empty())
        outcome.error = fmt::format("the sync's process ended with status {}", *status);
      base::log().warn("sync of the instant VM of {} failed: {}", sync->machine, outcome.error);
    }
    std::error_code ignored;
    for (const char* ending : {".position", ".log"}) fs::remove(sync->files + ending, ignored);
    tenant.outcomes.push_back(std::move(outcome));
    sync = tenant.syncs.erase(sync);
  }
}

void InstantSyncs::end(Tenant& tenant) {
  for (Sync& sync : tenant.syncs) sync.process.signal(SIGTERM);
  for (Sync& sync : tenant.syncs) {
    if (!sync.process.wait_for(kPatience))
      base::log().warn("the sync of {} does not end; killing it", sync.machine);
  }
  tenant.syncs.clear();
}

}  // namespace appliance::instant
