// What becomes an event for those who follow: points, instant VMs, alerts. Jobs: WatchedJobs.
#include "appliance/daemon/daemon.h"
#include "base/error.h"
#include "base/log.h"

namespace appliance::daemon {
namespace {

using events::Event;
using events::EventKind;

class PointEvents : public ingest::CommitListener {
 public:
  PointEvents(events::EventLog& log, catalog::Catalog& catalog) : log_(log), catalog_(catalog) {}

  // The listener is not told which point it was: it is the machine's newest one.
  void committed(const access::TenantName& tenant, const std::string& machine) override {
    std::string point;
    try {
      auto latest = catalog_.machine(tenant, machine).latest_point;
      if (latest) point = latest->hex();
    } catch (const base::Error& error) {
      base::log().warn("the point of an event is unknown: {}", error.message());
    }
    log_.add({.event = EventKind::point_arrived,
              .tenant = access::TenantName(tenant),
              .subject = machine,
              .id = point});
  }

 private:
  events::EventLog& log_;
  catalog::Catalog& catalog_;
};

}  // namespace

void Daemon::watch_points() {
  point_events_ = std::make_unique<PointEvents>(events_, *catalog_);
  ingest_->add_listener(*point_events_);
}

void Daemon::watch_vms() {
  if (!vm_watch_.is_due()) return;
  try {
    vm_watch_.look(boots_->list(access::TenantScope::all()));
  } catch (const std::exception& error) {
    // tend() has just said the same to the log.
    base::log().debug("no events of instant VMs: {}", error.what());
  }
}

alerts::AlertHook Daemon::alert_events() {
  return [this](const catalog::Alert& alert, alerts::AlertChange change) {
    bool is_open = change == alerts::AlertChange::opened;
    events_.add({.event = is_open ? EventKind::alert_opened : EventKind::alert_closed,
                 .tenant = alert.tenant,
                 .kind = alert.kind,
                 .subject = alert.subject,
                 .message = alert.message});
  };
}

}  // namespace appliance::daemon
