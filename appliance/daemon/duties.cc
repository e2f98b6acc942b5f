// What the daemon does by itself again and again, and where it looks for what is wrong.
#include <unistd.h>

#include <climits>

#include "appliance/alerts/certificate_ends.h"
#include "appliance/daemon/daemon.h"
#include "appliance/daemon/readiness.h"
#include "appliance/points/point_marking.h"
#include "appliance/presence/store_conditions.h"
#include "base/log.h"

namespace appliance::daemon {
namespace {

constexpr std::chrono::seconds kRound{2};
constexpr std::chrono::minutes kPatience{15}, kAlertsPatience{2};

class VerifiedBoots : public schedule::TestBoots {
 public:
  explicit VerifiedBoots(verify::VerifyService& verification) : verification_(verification) {}
  void order(const access::TenantName& tenant, const std::string& machine,
             const char* why) override {
    verification_.request(tenant, machine + "@latest", why, access::Requester::schedule());
  }

 private:
  verify::VerifyService& verification_;
};

}  // namespace

std::vector<schedule::AlertSource> Daemon::limit_alerts() {
  auto certificates = [this](uint64_t now_ms) {
    alerts::CertificateEnds ends{authority_->authority_end_ms(), authority_->server_end_ms(),
                                 pki::kHostLifetime_ms};
    const auto all = access::TenantScope::all();
    return alerts::certificate_conditions(ends, catalog_->tenants(all), catalog_->hosts(all),
                                          now_ms);
  };
  auto space = [this](uint64_t) {
    ballast_->restore();
    return space_->conditions();
  };
  auto isolation = [this](uint64_t) {
    std::vector<alerts::Condition> found;
    std::string problem = boots_->isolation_problem();
    if (!problem.empty()) {
      found.push_back({alerts::kIsolationLost, access::TenantName(catalog::kDefaultTenant),
                       "isolated networks", problem});
    }
    return found;
  };
  return {
      {"the audit log", {alerts::kAuditBroken}, [this](uint64_t) { return audit_->conditions(); }},
      {"sign-ins", {alerts::kGuessing}, [this](uint64_t) { return people_->conditions(); }},
      {"the conduct of hosts",
       {alerts::kHostMisbehaves},
       [this](uint64_t) { return conduct_.conditions(); }},
      {"space, quotas and volumes",
       {alerts::kSyncsWithoutSpace, alerts::kQuotaNearlyUsed, alerts::kHostVolume},
       space},
      {"certificates", {alerts::kCertificateEnds}, certificates},
      {"backups of the appliance",
       {alerts::kBackupOld},
       [this](uint64_t now_ms) { return backups_->conditions(now_ms); }},
      {"what changes slowly",
       {alerts::kVerificationInconclusive, alerts::kDataLooksEncrypted, alerts::kCompactionFailing,
        alerts::kStoreFills, alerts::kDiskErrors, alerts::kArrayDegraded, alerts::kAgentOutdated},
       [this](uint64_t) { return slow_watch_->conditions(); }},
      {"the isolation of VMs", {alerts::kIsolationLost}, isolation}};
}

std::vector<schedule::AlertSource> Daemon::alert_sources() {
  std::vector<schedule::AlertSource> sources{
      {"what the appliance needs",
       {alerts::kDependencyMissing},
       [this](uint64_t) { return presence_->conditions(); }},
      {"the stores",
       {alerts::kStoreUnusable, alerts::kPointsMissing},
       [this](uint64_t) { return presence::store_conditions(stores_->standings()); }},
      {"retention",
       {alerts::kRetentionFailing, alerts::kRetentionHeld},
       [this](uint64_t) { return retention_->conditions(); }},
      {"the instant VMs",
       {alerts::kInstantVmDown},
       [this](uint64_t) { return timelines_->conditions(); }},
      {"the failbacks",
       {alerts::kFailbackUndecided, alerts::kFailbackFailing},
       [this](uint64_t) { return failbacks_->conditions(); }},
      {"what hosts keep off",
       {alerts::kOriginalStarted, alerts::kOriginalUnguarded},
       [this](uint64_t) { return keep_off_->conditions(); }},
      schedule::protection_source({*catalog_, *stores_, *scheduler_, *policies_, *clock_trust_})};
  for (schedule::AlertSource& each : limit_alerts()) sources.push_back(std::move(each));
  return sources;
}

std::string Daemon::trouble_of_duties() {
  if (!is_serving_) return "the daemon is starting";
  auto failures = duties_.failures();
  return failures.empty() ? "" : failures.front().what + ": " + failures.front().error;
}

notices::ChannelSettings Daemon::channel_settings() {
  notices::ChannelSettings settings;
  settings.command = config_.alert_command;
  settings.webhook = config_.alert_webhook;
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  settings.sending = {config_.alert_local_targets, name};
  constexpr size_t kNodeDigits = 8;
  settings.node = node_.hex().substr(0, kNodeDigits);
  settings.trouble = [this] { return trouble_of_duties(); };
  return settings;
}

void Daemon::add_duties() {
  const base::Clock& clock = base::system_clock();
  test_boots_ = std::make_unique<VerifiedBoots>(*verification_);
  test_boot_schedule_ = std::make_unique<schedule::TestBootSchedule>(*catalog_, *policies_,
                                                                     *test_boots_, clock.wall_ms());
  ingest_->add_listener(*test_boot_schedule_);
  upkeep_ = std::make_unique<schedule::StoreUpkeep>(*catalog_, *stores_, *jobs_);
  backups_ =
      std::make_unique<backup::StoreBackups>(config_, config_.settings_path, *catalog_, *stores_);
  old_rows_ = std::make_unique<schedule::OldRows>(*catalog_, *clock_trust_);
  slow_watch_ = std::make_unique<schedule::SlowWatch>(schedule::SlowWatch::Sources{
      .catalog = *catalog_,
      .version = MULETTO_VERSION,
      .directories = {{"the stores", config_.stores_directory()},
                      {"the appliance's state", config_.state_directory}},
      .hold =
          [this](const access::TenantName& tenant, const catalog::Hold& hold) {
            deletion_->hold(tenant, hold);
            marking_->publish(tenant, hold.point);
          },
      .hardware = schedule::ask_hardware});
  notices_ = std::make_unique<notices::Channels>(*catalog_, channel_settings());
  alert_loop_ = std::make_unique<schedule::AlertLoop>(*catalog_, *notices_, alert_sources(),
                                                      duties_, alert_events());
  services_->duties = &duties_;
  services_->channels = notices_.get();

  auto add = [&](std::string name, std::string what, std::function<void()> round) {
    auto patience = name == kAlertsDuty ? kAlertsPatience : kPatience;
    duties_.add({std::move(name), std::move(what), kRound, std::move(round), patience});
  };
  add("orders", "orders of silent hosts are not expired",
      [this] { scheduler_->expire_silent_orders(); });
  add("restores to hosts", "restores that were cancelled, or whose hosts are silent, do not end",
      [this] { host_restores_->tend(); });
  add("failed restores", "alerts of failed restores are neither opened nor closed",
      [this, &clock] { restore_alerts_->round(alert_loop_->book(), clock.wall_ms()); });
  add("upkeep", "stores are neither compacted nor checked",
      [this, &clock] { upkeep_->round(clock.wall_ms()); });
  add("marks", "what is known about points is not written into their stores",
      [this] { publish_marks(); });
  add("lived time", "the age of locked points is not counted", [this] { lived_->tick(); });
  add("audit log", "the audit log is neither checked nor anchored in the stores",
      [this] { audit_->round(); });
  add("files", "processes that read files of points are not ended when nobody uses them",
      [this] { looks_->tend(); });
  add("backup", "the appliance's catalog and keys are not backed up into the stores",
      [this] { backups_->round(); });
  // A daemon whose catalog or duties hang is restarted by the service manager; exports and VMs go on.
  add("watchdog", "the service manager is not told that the daemon works", [this] {
    catalog_->find_fact("node");
    notify_service_manager("WATCHDOG=1");
  });
  add("old rows", "old rows of the catalog are not removed", [this] { old_rows_->round(); });
  add("slow conditions", "disks, arrays and what many syncs show together are not watched",
      [this] { slow_watch_->round(); });
  add("test boots", "machines are not tested at night",
      [this, &clock] { test_boot_schedule_->round(clock.wall_ms()); });
  add(kAlertsDuty, "alerts are neither opened nor closed",
      [this, &clock] { alert_loop_->round(clock.wall_ms()); });
}

// Also what could not be written when it became known. A store that is away, or only read, has an
// alert of its own.
void Daemon::publish_marks() {
  constexpr uint64_t kEvery_ms = 24 * 3'600'000;
  uint64_t now_ms = base::steady_ms();
  if (marks_published_ms_ != 0 && now_ms - marks_published_ms_ < kEvery_ms) return;
  marks_published_ms_ = now_ms;
  for (const catalog::Tenant& tenant : catalog_->tenants(access::TenantScope::all())) {
    try {
      uint64_t count = marking_->publish_all(tenant.name);
      if (count != 0)
        base::log().info("marks of {} points of tenant {} written", count, tenant.name.text());
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::unavailable) throw;
      base::log().warn("no marks are written for tenant {}: {}", tenant.name.text(),
                       error.message());
    }
  }
}

}  // namespace appliance::daemon
