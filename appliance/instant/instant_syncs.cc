#include "appliance/instant/instant_syncs.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>

#include "appliance/boot/files/overlay.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/repeated_log.h"

namespace appliance::instant {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kRound{500};

// Digits of the hash of a tenant's name. State of two tenants must never be mixed up; the run
// folder contains sockets, whose paths must be short. Earlier versions had 8 for both.
constexpr size_t kStateDigits = 32, kRunDigits = 16, kOldDigits = 8;

std::string hash_of(const access::TenantName& tenant) {
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

}  // namespace

InstantSyncs::InstantSyncs(InstantSyncSettings settings, catalog::Catalog& catalog,
                           const pki::Authority& authority, boot::BootService& boots,
                           VmTimelines& timelines, schedule::Scheduler& scheduler)
    : settings_(std::move(settings)), catalog_(catalog), authority_(authority), boots_(boots),
      timelines_(timelines), scheduler_(scheduler),
      thread_("instant syncs", base::AfterFailure::begin_again,
              [this](const std::stop_token& stop) { run(stop); }) {}

InstantSyncs::~InstantSyncs() = default;

InternalHostPaths InstantSyncs::places_of(const access::TenantName& tenant) const {
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
  std::map<catalog::TenantName, Tenant> tenants;
  bool took_over = false;
  base::RepeatedLog log;
  // Errors of one tenant end here, so that they do not affect the others.
  auto guarded = [&](const catalog::TenantName& name, const std::function<void()>& action) {
    try {
      action();
    } catch (const std::exception& error) {
      log.warn(fmt::format("instant VMs{} cannot be synced now: {}",
                           name.empty() ? "" : " of the tenant '" + name.text() + "'",
                           error.what()));
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
  for (auto& [name, tenant] : tenants) {
    if (tenant.syncs) tenant.syncs->end_all();
  }
}

bool InstantSyncs::look(const catalog::TenantName& name, Tenant& tenant) {
  tenant.running.clear();
  bool any = false;
  for (const boot::InstantVm& vm : timelines_.vms(name)) {
    if (!boots_.is_own(vm)) continue;  // its own node syncs it
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

void InstantSyncs::poll(const catalog::TenantName& name, Tenant& tenant) {
  if (!tenant.syncs) {
    InternalHostPaths places = places_of(name);
    base::make_passable_directory(places.run_directory);  // QEMU makes its sockets there
    tenant.syncs.emplace(places.run_directory + "/orders", "the instant VM of ");
  }
  for (agent::orders::SyncOutcome& outcome : tenant.syncs->collect())
    tenant.outcomes.push_back({outcome.order, outcome.succeeded, std::move(outcome.error)});
  schedule::Poll poll;
  poll.internal = true;
  for (const auto& [machine, vm] : tenant.running) poll.machines.push_back(machine);
  poll.outcomes = tenant.outcomes;
  for (agent::orders::RunningSync& sync : tenant.syncs->running())
    poll.running.push_back({sync.order, std::move(sync.machine), sync.done, sync.total});
  schedule::PollAnswer answer = scheduler_.poll(*tenant.host, poll);
  tenant.outcomes.clear();
  for (const schedule::Order& order : answer.orders) begin(tenant, name, order);
}

void InstantSyncs::begin(Tenant& tenant, const catalog::TenantName& name,
                         const schedule::Order& order) {
  auto vm = tenant.running.find(order.machine);
  if (vm == tenant.running.end()) {
    tenant.syncs->refuse(order.id, "the instant VM does not run any more");
    return;
  }
  std::string origin = fmt::format("{}={}", boot::kOriginBitmap, vm->second.point.hex());
  tenant.syncs->begin({order.id,
                       order.machine,
                       {agent_program(), "sync", "--config", places_of(name).config_path(),
                        "--domain", vm->second.domain_name, "--origin", origin, "--quiet"}});
}

}  // namespace appliance::instant
