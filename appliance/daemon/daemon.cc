#include "appliance/daemon/daemon.h"

#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <filesystem>

#include "appliance/api/routes/event_routes.h"
#include "appliance/boot/libvirt/libvirt_guest_watch.h"
#include "appliance/boot/libvirt/libvirt_hypervisor.h"
#include "appliance/daemon/readiness.h"
#include "appliance/people/setup_code.h"
#include "appliance/points/point_marking.h"
#include "appliance/presence/first_start.h"
#include "appliance/presence/needs.h"
#include "base/error.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"
#include "images/wire/transfer_format.h"

namespace appliance::daemon {
namespace {

// Deleted when the disk is completely full, so that deletions and stops still work.
constexpr uint64_t kMaxBallast = 64ull << 20;  // bytes
// No daemon has more events than that, so the next one's numbers are higher.
constexpr uint64_t kEventsPerMs = 1000;
constexpr uint64_t kBallastShare = 50;  // divisor: at most this fraction of the disk

std::unique_ptr<base::FileLock> lock_directory(const std::string& path, const char* option) {
  try {
    return base::real_file_system().lock(path, base::LockKind::exclusive);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::busy) throw;
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("another mulettod is running in {}; give this one a folder of its own with {}",
                    path, option));
  }
}

std::string host_of(const std::string& public_address) {
  return public_address.empty() ? std::string() : parse_listen_address(public_address).host;
}

// This machine's own.
std::string machine_name() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

Daemon::Daemon(const Config& config) : config_(config), events_(base::now_ms() * kEventsPerMs) {
  presence::require_state_folder(config_);
  bool is_new = !base::real_file_system().exists(config_.catalog_path());
  // QEMU's user must reach sockets and overlays inside, so others may pass through but not list the
  // folder; secret folders (stores, keys, catalog) are closed themselves.
  base::make_passable_directory(config_.state_directory);
  if (is_new) base::make_private_directory(config_.stores_directory());
  base::make_passable_directory(config_.run_directory);
  state_lock_ = lock_directory(config_.state_directory, "--state-directory");
  run_lock_ = lock_directory(config_.run_directory, "--run-directory");
  std::filesystem::remove(config_.ready_path());  // left by a dead daemon

  catalog_ = catalog::Catalog::open(config_.catalog_path());
  std::optional<access::NodeId> remembered;
  if (auto fact = catalog_->find_fact("node")) remembered = access::NodeId::from_hex(*fact);
  node_ = access::open_node_id(config_.node_path(), remembered);
  catalog_->save_fact("node", node_.hex());
  presence::require_known_authority(config_, *catalog_);
  authority_ = pki::Authority::open(config_.pki_directory(),
                                    pki::local_server_names(host_of(config_.public_address)));
  catalog_->save_fact("authority", authority_->fingerprint());
  people::settle_setup_code(*catalog_, config_.setup_code_path());
  people_ = std::make_unique<people::People>(
      *catalog_, people::PeopleOptions{.session_idle_ms = config_.session_idle_ms,
                                       .session_lifetime_ms = config_.session_lifetime_ms,
                                       .setup_code_path = config_.setup_code_path(),
                                       .appliance_name = machine_name()});
  authenticator_ = std::make_unique<api::Authenticator>(*catalog_, people_.get());
  admit_rescue_sessions();
  stores_ = std::make_unique<stores::TenantStores>(base::real_file_system(),
                                                   config_.stores_directory(), *catalog_);
  jobs::JobLimits job_limits;
  job_limits.thread_count = config_.job_threads;
  job_limits.node = node_;
  uint64_t disk_size = ingest::disk_space_of(config_.state_directory).size;
  ballast_ = std::make_unique<base::Ballast>(config_.ballast_path(),
                                             std::min(kMaxBallast, disk_size / kBallastShare));
  ballast_->restore();
  audit_log_ = std::make_unique<audit::AuditLog>(
      *catalog_, audit::AuditLog::Options{.appliance = node_.hex(),
                                          .to_syslog = config_.audit_syslog,
                                          .make_room = [this] { ballast_->ease(); }});
  audit_ = std::make_unique<audit::AuditService>(*audit_log_, *catalog_, *stores_,
                                                 base::real_file_system(), node_);
  job_limits.make_room = [this] { ballast_->ease(); };
  restore_alerts_ = std::make_unique<restores::RestoreAlerts>(*catalog_, *catalog_);
  watched_jobs_ = std::make_unique<events::WatchedJobs>(
      *catalog_, events_, [this](const catalog::Job& job) { restore_alerts_->ended(job); });
  jobs_ = std::make_unique<jobs::JobRunner>(*watched_jobs_, job_limits);
  // First: connections opened before libvirt's event loop exists get no events.
  guest_watch_ = boot::libvirt::watch_guests(config_.libvirt_uri);
  hypervisor_ = boot::libvirt::connect(config_.libvirt_uri);
  boots_ = std::make_unique<boot::BootService>(boot_settings(), *hypervisor_);
  timelines_ = std::make_unique<instant::VmTimelines>(*boots_);
  ingest_ = std::make_unique<ingest::Ingest>(*catalog_, *stores_, *jobs_);
  ingest_->set_timelines(*timelines_);
  ingest::SpaceGuard::Sources sources;
  sources.store_size = [this](const access::TenantName& tenant) {
    return ingest::size_on_disk(stores_->directory_of(tenant));
  };
  space_ = std::make_unique<ingest::SpaceGuard>(
      *catalog_, std::vector{config_.stores_directory(), config_.state_directory},
      ingest::SpaceLimits{config_.reserve, config_.host_volume}, std::move(sources));
  ingest_->set_space(*space_);
  host_restores_ = std::make_unique<homeward::HostRestores>(*catalog_, *stores_, *jobs_);
  ingest_->set_tickets(*host_restores_);
  fetches_ = std::make_unique<rescue::PointFetches>(*stores_, *jobs_);

  clock_trust_ = std::make_unique<schedule::ClockTrust>(*catalog_);
  looks_ = std::make_unique<files::FileLooks>(*stores_, *jobs_);
  lived_ = std::make_unique<points::LivedTime>(*catalog_);
  locks_ = std::make_unique<points::TenantLocks>(*catalog_, *lived_);
  deletion_ = std::make_unique<points::PointDeletion>(
      *catalog_, *stores_, pins_,
      points::PointDeletion::Options{
          config_.state_directory,
          [this](const images::StoreId& store, const images::MachineId& machine) {
            boots_->forget_traces(store, machine);
          },
          [this](const images::PointId& point) { looks_->let_go(point); }, locks_.get()});
  marking_ = std::make_unique<points::PointMarking>(*catalog_, *stores_, node_, machine_name());
  retention_ = std::make_unique<retention::RetentionService>(
      *catalog_, *stores_, *jobs_, *deletion_,
      retention::Surroundings{.state_directory = config_.state_directory,
                              .clock_problem = [this] { return clock_trust_->look().problem; },
                              .pruning = {config_.traces_directory()}});
  policies_ = std::make_unique<schedule::Policies>(*catalog_);
  scheduler_ = std::make_unique<schedule::Scheduler>(
      *catalog_, *policies_, *jobs_, schedule::Limits{config_.sync_sessions, config_.host_syncs},
      schedule::SchedulerLinks{timelines_.get(), &conduct_});
  failbacks_ = std::make_unique<failback::FailbackService>(
      failback::Links{*catalog_, *jobs_, *boots_, *scheduler_, *host_restores_});
  keep_off_ = std::make_unique<failback::KeepOff>(*catalog_, *boots_, *scheduler_);
  ingest_->set_orders(*scheduler_);
  ingest_->add_listener(*scheduler_);
  watch_points();
  stores_->set_on_lost([this](const access::TenantName& tenant) {
    for (const catalog::Host& host : catalog_->hosts(tenant)) ingest_->cut_host(host.id);
    ingest_->cut_imports(tenant);
  });
  presence_ = std::make_unique<presence::Presence>(presence::needs_of(
      {config_, [this] { stores_->look(); },
       [this] { hypervisor_->has_network(boot_settings().nat_network); },
       [this] { duties_.require_done(kAlertsDuty); }, authority_->fingerprint()}));

  services_.reset(new api::Services{config_, *catalog_, *stores_, *jobs_, *boots_, asker_,
                                    *scheduler_, *authority_,
                                    [this](const catalog::HostId& id) { ingest_->cut_host(id); },
                                    [this] { return public_address(); }, base::now_ms(), node_});
  reports_ = std::make_unique<report::ReportService>(config_.reports_directory(), *catalog_,
                                                     *scheduler_, *policies_, *jobs_);
  services_->reports = reports_.get();
  services_->clock_trust = clock_trust_.get();
  services_->presence = presence_.get();
  services_->deletion = deletion_.get();
  services_->marking = marking_.get();
  services_->looks = looks_.get();
  services_->retention = retention_.get();
  services_->policies = policies_.get();
  services_->host_restores = host_restores_.get();
  services_->rescue_codes = &rescue_codes_;
  services_->fetches = fetches_.get();
  services_->failbacks = failbacks_.get();
  services_->keep_off = keep_off_.get();
  services_->people = people_.get();
  services_->audit = audit_.get();
  api::add_all_routes(router_, *services_);
  api::add_event_routes(router_, events_);
  api::ServerOptions options;
  options.listen = config_.listen;
  options.socket_path = config_.api_socket_path();
  options.limits.upgraded_connections = config_.sync_sessions;
  options.limits.host_sessions = config_.host_syncs + 2;  // plus queries and manual syncs
  options.audit = audit_log_.get();
  options.misconduct = [this](const catalog::Host& host, const alerts::Misconduct& misconduct) {
    conduct_.note(host, misconduct);
  };
  // Revoked hosts are refused by the authenticator, with an explanation instead of a TLS alert.
  server_ = std::make_unique<api::Server>(
      options, router_, *authenticator_, authority_->server_context({}),
      [this](base::ByteStream& stream, const api::Principal& sender) {
        if (sender.fetches) serve_fetch(stream, sender);
        else if (sender.host) ingest_->serve(stream, *sender.host);
        else ingest_->serve_import(stream, *sender.imports_into, access::Requester(sender.name));
      });
  // Last: its workers start at once, and a daemon that cannot bind its port must start nothing.
  verify::VerifySettings verify_settings;
  verify_settings.boot = boot_settings();
  verify_settings.limits.watch_on_ms = config_.watch_on_ms;
  verify_settings.on_verdict = [this](const access::TenantName& tenant,
                                      const images::PointId& point) {
    marking_->publish(tenant, point);
  };
  verification_ = std::make_unique<verify::VerifyService>(
      verify_settings, *hypervisor_, *guest_watch_, *catalog_, *stores_, *jobs_);
  services_->verification = verification_.get();
  add_duties();
}

Daemon::~Daemon() { duties_.stop(); }

boot::BootSettings Daemon::boot_settings() {
  boot::BootSettings settings;
  settings.state_directory = config_.state_directory;
  settings.run_directory = config_.run_directory;
  settings.accelerator = boot::accelerator_from_name(config_.accelerator);
  settings.export_cache_size = config_.chunk_cache_size;
  settings.tpm_directory = config_.tpm_directory;
  settings.trace_directory = config_.traces_directory();
  settings.node = node_;
  settings.tenant_of_store = [this](const std::string& store_directory) {
    return stores_->tenant_of(store_directory);
  };
  settings.pins = &pins_;
  return settings;
}

std::string Daemon::public_address() const {
  if (!config_.public_address.empty()) return config_.public_address;
  ListenAddress address{config_.listen.host, server_->port()};
  if (address.host == "0.0.0.0" || address.host == "::") address.host = machine_name();
  return address.text();
}

std::string Daemon::local_address() const {
  ListenAddress address{config_.listen.host, server_->port()};
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  return address.text();
}

void Daemon::run(const base::StopSignals& signals) {
  stores_->open_existing();
  VmKeeper keeper(
      *boots_,
      [this](const boot::InstantVm& vm) {
        recovery::submit_pull(services_->recovery(), vm, vm.pull_bandwidth,
                              access::Requester::schedule());
      },
      [this] { watch_vms(); });
  presence_->start();
  server_->start();
  retention_->start();
  failbacks_->run();
  duties_.start();
  is_serving_ = true;
  std::optional<instant::InstantSyncs> instant_syncs;
  instant_syncs.emplace(instant::InstantSyncSettings{config_.state_directory, config_.run_directory,
                                                     local_address(), config_.libvirt_uri},
                        *catalog_, *authority_, *boots_, *timelines_, *scheduler_);
  write_ready_file(config_.ready_path(),
                   {server_->port(), authority_->fingerprint(), config_.api_socket_path()});
  notify_service_manager("READY=1");
  base::log().info("mulettod {} listens on {}; the authority's fingerprint is {}", MULETTO_VERSION,
                   ListenAddress{config_.listen.host, server_->port()}.text(),
                   authority_->fingerprint());

  int number = signals.wait();
  base::log().info("stopping on signal {}; instant VMs keep running", number);
  notify_service_manager("STOPPING=1");
  std::filesystem::remove(config_.ready_path());
  failbacks_->stop();
  instant_syncs.reset();  // its processes connect to the server
  server_->stop();
  looks_->close();
  duties_.stop();
  scheduler_->stop();
  host_restores_->stop();
  retention_->stop();
  verification_->stop();
  jobs_->stop();
  presence_->stop();
  stores_->close();
}

}  // namespace appliance::daemon
