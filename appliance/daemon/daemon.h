// The whole daemon, wired by hand. The constructor does everything up to binding the port, so that
// a daemon that cannot work says why and ends before it promises anything.
#pragma once

#include <atomic>
#include <memory>

#include "appliance/alerts/host_conduct.h"
#include "appliance/api/http/server.h"
#include "appliance/api/routes/routes.h"
#include "appliance/audit/audit_service.h"
#include "appliance/backup/store_backups.h"
#include "appliance/boot/guest/probe.h"
#include "appliance/catalog/catalog.h"
#include "appliance/config.h"
#include "appliance/daemon/vm_keeper.h"
#include "appliance/events/event_log.h"
#include "appliance/events/vm_watch.h"
#include "appliance/events/watched_jobs.h"
#include "appliance/failback/failback_service.h"
#include "appliance/failback/keep_off.h"
#include "appliance/files/file_looks.h"
#include "appliance/homeward/host_restores.h"
#include "appliance/ingest/ingest.h"
#include "appliance/instant/instant_syncs.h"
#include "appliance/notices/channels.h"
#include "appliance/people/people.h"
#include "appliance/points/point_deletion.h"
#include "appliance/presence/presence.h"
#include "appliance/report/report_service.h"
#include "appliance/rescue/point_fetches.h"
#include "appliance/rescue/rescue_codes.h"
#include "appliance/restores/restore_alerts.h"
#include "appliance/retention/retention_service.h"
#include "appliance/schedule/alert_loop.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/schedule/duties.h"
#include "appliance/schedule/old_rows.h"
#include "appliance/schedule/slow_watch.h"
#include "appliance/schedule/test_boot_schedule.h"
#include "appliance/schedule/upkeep.h"
#include "appliance/verify/verify_service.h"
#include "base/ballast.h"
#include "base/file_system.h"
#include "base/stop_signals.h"

namespace appliance::daemon {

class Daemon {
 public:
  // Throws busy if another daemon uses the state or run directory or the port, and what opening the
  // catalog and the authority throws. A store that cannot be opened is only logged.
  explicit Daemon(const Config& config);
  ~Daemon();

  // Serves until a signal arrives, then shuts down: no more connections, sessions closed, jobs
  // ended. Instant VMs keep running.
  void run(const base::StopSignals& signals);

 private:
  static constexpr const char* kAlertsDuty = "alerts";

  // In duties.cc. Sources that may be unavailable independently of each other.
  std::vector<schedule::AlertSource> alert_sources();
  std::vector<schedule::AlertSource> limit_alerts();
  // Call after everything that the duties use exists.
  void add_duties();
  // In event_sources.cc: what becomes an event of the log.
  void watch_points();
  void watch_vms();  // on the VM keeper's thread; never throws
  alerts::AlertHook alert_events();
  // In rescue_sessions.cc.
  void admit_rescue_sessions();
  void serve_fetch(base::ByteStream& stream, const api::Principal& reader);
  notices::ChannelSettings channel_settings();
  std::string trouble_of_duties();  // empty: all are carried out
  std::string public_address() const;
  std::string local_address() const;  // HOST:PORT at which this machine reaches the daemon
  boot::BootSettings boot_settings();
  void publish_marks();  // once a day, for all tenants

  const Config config_;
  alerts::HostConduct conduct_;
  events::EventLog events_;
  events::VmWatch vm_watch_{events_};
  std::unique_ptr<base::FileLock> state_lock_;
  std::unique_ptr<base::FileLock> run_lock_;
  access::NodeId node_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<pki::Authority> authority_;
  std::unique_ptr<stores::TenantStores> stores_;
  std::unique_ptr<base::Ballast> ballast_;
  std::unique_ptr<restores::RestoreAlerts> restore_alerts_;
  std::unique_ptr<audit::AuditLog> audit_log_;
  std::unique_ptr<audit::AuditService> audit_;
  std::unique_ptr<events::WatchedJobs> watched_jobs_;
  std::unique_ptr<jobs::JobRunner> jobs_;
  std::unique_ptr<boot::Hypervisor> hypervisor_;
  boot::PointPins pins_;
  std::unique_ptr<boot::BootService> boots_;
  boot::Asker asker_;
  std::unique_ptr<boot::GuestWatch> guest_watch_;
  std::unique_ptr<report::ReportService> reports_;
  std::unique_ptr<verify::VerifyService> verification_;
  std::unique_ptr<ingest::SpaceGuard> space_;
  std::unique_ptr<ingest::CommitListener> point_events_;
  std::unique_ptr<ingest::Ingest> ingest_;
  std::unique_ptr<homeward::HostRestores> host_restores_;
  rescue::RescueCodes rescue_codes_;
  std::unique_ptr<rescue::PointFetches> fetches_;
  std::unique_ptr<instant::VmTimelines> timelines_;
  std::unique_ptr<schedule::ClockTrust> clock_trust_;
  std::unique_ptr<files::FileLooks> looks_;
  std::unique_ptr<points::LivedTime> lived_;
  std::unique_ptr<points::TenantLocks> locks_;
  std::unique_ptr<points::PointDeletion> deletion_;
  std::unique_ptr<points::PointMarking> marking_;
  std::unique_ptr<retention::RetentionService> retention_;
  uint64_t marks_published_ms_ = 0;  // by the steady clock; 0: not yet
  schedule::DutyRunner duties_;      // stopped first: duties use what is below, too
  std::unique_ptr<schedule::Policies> policies_;
  std::unique_ptr<schedule::Scheduler> scheduler_;
  std::unique_ptr<failback::FailbackService> failbacks_;
  std::unique_ptr<failback::KeepOff> keep_off_;
  std::unique_ptr<presence::Presence> presence_;
  std::unique_ptr<api::Services> services_;
  api::Router router_;
  std::unique_ptr<people::People> people_;
  std::unique_ptr<api::Authenticator> authenticator_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<schedule::TestBoots> test_boots_;
  std::unique_ptr<schedule::TestBootSchedule> test_boot_schedule_;
  std::unique_ptr<schedule::StoreUpkeep> upkeep_;
  std::unique_ptr<schedule::OldRows> old_rows_;
  std::unique_ptr<backup::StoreBackups> backups_;
  std::unique_ptr<schedule::SlowWatch> slow_watch_;
  std::atomic<bool> is_serving_ = false;  // the duties run
  std::unique_ptr<notices::Channels> notices_;
  std::unique_ptr<schedule::AlertLoop> alert_loop_;
};

}  // namespace appliance::daemon
