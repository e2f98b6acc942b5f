// What a Prometheus server collects. A token of one tenant gets that tenant's. What cannot be read is
// counted in muletto_unreadable, and its metrics are absent, never zero.
#include <sys/statvfs.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "appliance/alerts/kinds.h"
#include "appliance/api/routes/metrics.h"
#include "appliance/api/routes/routes.h"
#include "appliance/notices/channels.h"
#include "appliance/schedule/duties.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxJobs = 1000, kMaxAlerts = 100'000;

double seconds(uint64_t ms) { return static_cast<double>(ms) / 1000.0; }

class Collector {
 public:
  Collector(Services& services, access::TenantScope scope)
      : services_(services), scope_(std::move(scope)) {}

  std::string collect() {
    now_ms_ = base::now_ms();
    out_.gauge("muletto_info", "The appliance's version", {{"version", MULETTO_VERSION}}, 1);
    guarded("machines", [&] { machines(); });
    guarded("syncs", [&] { syncs(); });
    guarded("stores", [&] { stores(); });
    guarded("alerts", [&] { alerts(); });
    guarded("jobs", [&] { jobs(); });
    guarded("instant VMs", [&] { vms(); });
    guarded("hosts", [&] { hosts(); });
    if (scope_.is_all()) guarded("the appliance", [&] { appliance(); });
    out_.gauge("muletto_unreadable", "What could not be asked, so that its metrics are absent", {},
               static_cast<double>(unreadable_));
    return out_.text();
  }

 private:
  void guarded(const char* what, const std::function<void()>& action) {
    try {
      action();
    } catch (const std::exception& error) {
      ++unreadable_;
      out_.gauge("muletto_unreadable_part", "A part that could not be asked", {{"part", what}}, 1);
      base::log().warn("no metrics of {}: {}", what, error.what());
    }
  }

  std::vector<access::TenantName> tenants() {
    std::vector<access::TenantName> names;
    for (const catalog::Tenant& each : services_.catalog.tenants(scope_))
      names.push_back(each.name);
    return names;
  }

  void machine(const catalog::Machine& machine, bool has_points) {
    Labels labels{{"tenant", machine.tenant.text()}, {"machine", machine.name}};
    schedule::Standing standing = services_.scheduler.standing(machine.tenant, machine);
    out_.gauge("muletto_machine_protected", "Whether the machine is synced by the schedule", labels,
               standing.wanted ? 1 : 0);
    out_.gauge("muletto_machine_overdue", "Whether a newer point should exist", labels,
               standing.wanted && now_ms_ > standing.overdue_at_ms ? 1 : 0);
    out_.gauge("muletto_machine_points", "Points of the machine", labels,
               static_cast<double>(machine.point_count));
    out_.gauge("muletto_machine_failed_syncs", "Syncs that have failed in a row", labels,
               standing.failures);
    if (!has_points) return;
    if (standing.age_ms) {
      out_.gauge("muletto_machine_newest_point_age_seconds", "Age of the newest point", labels,
                 seconds(*standing.age_ms));
      if (standing.wanted && standing.overdue_at_ms + *standing.age_ms > now_ms_)
        out_.gauge("muletto_machine_point_age_target_seconds",
                   "Age from which the newest point is overdue", labels,
                   seconds(standing.overdue_at_ms + *standing.age_ms - now_ms_));
    }
    auto verdict = services_.catalog.newest_verdict(machine.tenant, machine.name);
    for (const char* each : {"pass", "fail", "inconclusive"}) {
      out_.gauge("muletto_machine_last_verdict", "1 for the verdict of the newest tested point",
                 {{"tenant", machine.tenant.text()}, {"machine", machine.name}, {"verdict", each}},
                 verdict && verdict->verdict == each ? 1 : 0);
    }
    if (auto passed = services_.catalog.last_passed_ms(machine.tenant, machine.name))
      out_.gauge("muletto_machine_last_passed_test_timestamp_seconds",
                 "When the newest passed test boot began", labels, seconds(*passed));
  }

  void machines() {
    for (const access::TenantName& tenant : tenants()) {
      std::set<std::string> with_points;
      for (const catalog::Machine& each : services_.catalog.machines(tenant)) {
        machine(each, true);
        with_points.insert(each.name);
      }
      for (const catalog::Protection& each : services_.catalog.protections(tenant)) {
        if (with_points.contains(each.machine)) continue;
        catalog::Machine unsynced;
        unsynced.tenant = tenant;
        unsynced.name = each.machine;
        machine(unsynced, false);
      }
    }
  }

  // The newest one of each machine.
  void syncs() {
    catalog::JobFilter filter{
        .scope = scope_, .state = catalog::JobState::succeeded, .kind = "sync", .limit = kMaxJobs};
    std::set<std::pair<std::string, std::string>> seen;
    for (const catalog::Job& job : services_.jobs.jobs(filter)) {
      if (!seen.emplace(job.tenant.text(), job.subject).second) continue;
      auto figures = base::find_json(job.figures);
      if (!figures) continue;
      Labels labels{{"tenant", job.tenant.text()}, {"machine", job.subject}};
      auto add = [&](const char* field, const char* name, const char* help, double scale) {
        if (auto value = base::find_natural(*figures, field))
          out_.gauge(name, help, labels, static_cast<double>(*value) * scale);
      };
      add("bytes_read", "muletto_machine_last_sync_read_bytes",
          "Read from the source disks by the newest sync", 1);
      add("bytes_sent", "muletto_machine_last_sync_sent_bytes", "Sent by the newest sync", 1);
      add("bytes_stored", "muletto_machine_last_sync_stored_bytes", "Stored by the newest sync", 1);
      add("duration_ms", "muletto_machine_last_sync_duration_seconds",
          "How long the newest sync took", 0.001);
    }
  }

  void stores() {
    for (const stores::StoreStanding& store : services_.stores.standings()) {
      if (!scope_.sees(store.tenant)) continue;
      Labels labels{{"tenant", store.tenant.text()}};
      out_.gauge("muletto_store_usable", "Whether the tenant's store can be read", labels,
                 store.can_be_read() ? 1 : 0);
      if (!store.can_be_read()) continue;
      images::StoreFigures figures = services_.stores.writer(store.tenant)->figures();
      out_.gauge("muletto_store_pack_bytes", "Bytes of all packs", labels,
                 static_cast<double>(figures.pack_size));
      out_.gauge("muletto_store_live_bytes", "Stored bytes that points need", labels,
                 static_cast<double>(figures.live_size));
      out_.gauge("muletto_store_logical_bytes", "Bytes of all disks of all points", labels,
                 static_cast<double>(figures.logical_size));
      out_.gauge("muletto_store_points", "Points in the store", labels,
                 static_cast<double>(figures.point_count));
      std::error_code absent;
      auto space = std::filesystem::space(store.directory, absent);
      if (absent) continue;
      out_.gauge("muletto_store_disk_free_bytes", "Free on the file system of the store", labels,
                 static_cast<double>(space.available));
      out_.gauge("muletto_store_disk_size_bytes", "Size of the file system of the store", labels,
                 static_cast<double>(space.capacity));
    }
  }

  void alerts() {
    std::map<std::string, size_t> counts;
    for (const catalog::Alert& each : services_.catalog.alerts(scope_, false, kMaxAlerts))
      ++counts[each.kind];
    for (const alerts::AlertKind& kind : alerts::alert_kinds()) {
      out_.gauge("muletto_alerts_open", "Open alerts",
                 {{"kind", kind.name}, {"severity", alerts::severity_name(kind.severity)}},
                 static_cast<double>(counts[std::string(kind.name)]));
    }
  }

  void jobs() {
    for (catalog::JobState state : {catalog::JobState::queued, catalog::JobState::running}) {
      std::map<std::string, size_t> counts;
      for (const catalog::Job& job :
           services_.jobs.jobs({.scope = scope_, .state = state, .limit = kMaxJobs}))
        ++counts[job.kind];
      size_t sum = 0;
      for (const auto& [kind, count] : counts) {
        out_.gauge("muletto_jobs", "Jobs that are not over",
                   {{"state", catalog::job_state_name(state)}, {"kind", kind}},
                   static_cast<double>(count));
        sum += count;
      }
      out_.gauge("muletto_jobs_open", "Jobs of all kinds that are not over",
                 {{"state", catalog::job_state_name(state)}}, static_cast<double>(sum));
    }
  }

  void vms() {
    size_t running = 0, others = 0;
    for (const boot::InstantVm& vm : services_.boots.list(scope_))
      ++(vm.state == boot::VmState::running ? running : others);
    out_.gauge("muletto_instant_vms", "Instant VMs and test boots", {{"state", "running"}},
               static_cast<double>(running));
    out_.gauge("muletto_instant_vms", "Instant VMs and test boots", {{"state", "other"}},
               static_cast<double>(others));
  }

  void hosts() {
    for (const catalog::Host& host : services_.catalog.hosts(scope_)) {
      if (host.revoked || host.name == catalog::kInternalHostName) continue;
      Labels labels{{"tenant", host.tenant.text()}, {"host", host.name}};
      if (host.last_seen_ms)
        out_.gauge("muletto_host_last_seen_timestamp_seconds", "When the agent was last heard",
                   labels, seconds(*host.last_seen_ms));
      out_.gauge("muletto_certificate_expiry_timestamp_seconds", "When a certificate ends",
                 {{"tenant", host.tenant.text()}, {"owner", host.name}},
                 seconds(std::min(host.certified_ms + pki::kHostLifetime_ms,
                                  services_.authority.authority_end_ms())));
    }
  }

  // What belongs to all tenants.
  void appliance() {
    auto certificate = [&](const char* owner, uint64_t end_ms) {
      out_.gauge("muletto_certificate_expiry_timestamp_seconds", "When a certificate ends",
                 {{"tenant", ""}, {"owner", owner}}, seconds(end_ms));
    };
    certificate("the authority", services_.authority.authority_end_ms());
    certificate("the appliance", services_.authority.server_end_ms());
    out_.gauge("muletto_failing_duties", "Duties that the appliance fails to do", {},
               static_cast<double>(services_.duties->failures().size()));
    out_.gauge("muletto_started_timestamp_seconds", "When the daemon started", {},
               seconds(services_.started_ms));
    for (const notices::ChannelStanding& each : services_.channels->standings()) {
      Labels labels{{"channel", each.name}};
      out_.gauge("muletto_channel_waiting_notices", "Notices that wait to be sent", labels,
                 static_cast<double>(each.queue.waiting_count));
      out_.gauge("muletto_channel_failing", "Whether the channel's newest attempt failed", labels,
                 each.failing_since_ms == 0 ? 0 : 1);
      out_.gauge("muletto_channel_dropped_notices", "Never sent, since the daemon started", labels,
                 static_cast<double>(each.dropped_count));
    }
  }

  Services& services_;
  const access::TenantScope scope_;
  MetricsText out_;
  uint64_t now_ms_ = 0;
  size_t unreadable_ = 0;
};

Response show_metrics(Services& services, const Request& request) {
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  bool is_narrowed = !request.query_value("tenant").empty();
  response.body =
      Collector(services, is_narrowed ? access::TenantScope(request.tenant()) : request.scope())
          .collect();
  return response;
}

}  // namespace

void add_metrics_routes(Router& router, Services& services) {
  add_routes(router, services,
             {{"GET", "/metrics", Privilege::metrics_view, Resource::tenant, show_metrics}});
}

}  // namespace appliance::api
