// Takes syncs from agents into the tenants' stores: which machines an agent may write, a job for
// each sync with live progress, and the catalog's row when the point is committed. Thread-safe:
// serve() runs on one thread a session.
#pragma once

#include <map>
#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/ingest/space_guard.h"
#include "appliance/ingest/sync_orders.h"
#include "appliance/ingest/timelines.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "base/byte_stream.h"
#include "base/guarded.h"

namespace appliance::ingest {

class Ingest {
 public:
  Ingest(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs)
      : catalog_(catalog), stores_(stores), jobs_(jobs) {}

  // Before the first session. `orders` outlives the ingest.
  void set_orders(SyncOrders& orders) { orders_ = &orders; }

  // Before the first session. `timelines` outlives the ingest. Without: no machine has a holder.
  void set_timelines(Timelines& timelines) { timelines_ = &timelines; }

  // Before the first session. `space` outlives the ingest. Without: no limits.
  void set_space(SpaceGuard& space) { space_ = &space; }

  // Serves one agent's connection to its end. Throws what ended it out of order.
  void serve(base::ByteStream& stream, const catalog::Host& host);

  // Cuts the sessions of a host.
  void cut_host(const catalog::HostId& id);

 private:
  friend class AgentSession;
  struct Session {
    catalog::HostId host;
    std::string machine;  // being synced; empty before
  };
  // An agent that lost its connection comes back before we notice: its newer session wins.
  void begin_machine(base::ByteStream& stream, const std::string& machine);

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  SyncOrders* orders_ = nullptr;
  Timelines* timelines_ = nullptr;
  SpaceGuard* space_ = nullptr;
  // Streams are alive while they are in here.
  base::Guarded<std::map<base::ByteStream*, Session>> sessions_;
};

}  // namespace appliance::ingest
