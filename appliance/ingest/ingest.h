// Receives syncs from agents, and imports from operators, into the tenants' stores: decides which
// machines an agent may write, makes a job for each sync with live progress, and adds the catalog's
// row when the point is committed. Thread-safe: serve() runs on one thread per session.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "appliance/access/requester.h"
#include "appliance/catalog/catalog.h"
#include "appliance/ingest/restore_tickets.h"
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

  // Call before the first session. `orders` must outlive the ingest.
  void set_orders(SyncOrders& orders) { orders_ = &orders; }

  // Call before the first session. `listener` must outlive the ingest. Listeners are called in the
  // order in which they were added.
  void add_listener(CommitListener& listener) { listeners_.push_back(&listener); }

  // Call before the first session. `timelines` must outlive the ingest. Without it no machine has a
  // holder.
  void set_timelines(Timelines& timelines) { timelines_ = &timelines; }

  // Call before the first session. `space` must outlive the ingest. Without it there are no limits.
  void set_space(SpaceGuard& space) { space_ = &space; }

  // Call before the first session. `tickets` must outlive the ingest. Without it nothing can be read.
  void set_tickets(RestoreTickets& tickets) { tickets_ = &tickets; }

  // Serves one agent's connection to its end. Throws the error that ended it, if it did not end
  // cleanly.
  void serve(base::ByteStream& stream, const catalog::Host& host);

  // The same for an operator who imports a machine into a tenant.
  void serve_import(base::ByteStream& stream, const access::TenantName& tenant,
                    const access::Requester& requester);

  // Closes the sessions of a host.
  void cut_host(const catalog::HostId& id);
  // Closes the imports into a tenant.
  void cut_imports(const access::TenantName& tenant);

 private:
  friend class AgentSession;
  friend class ImportSession;
  struct Session {
    catalog::HostId host;
    std::string machine;                // being synced; empty before that
    access::TenantName imports_into{};  // of an import, which has no host; else empty
  };
  // An agent that lost its connection may reconnect before we notice: its newer session wins.
  void begin_machine(base::ByteStream& stream, const std::string& machine);
  // Serves a session, and tells it how it failed.
  template <typename AnySession>
  void run(base::ByteStream& stream, Session entry, AnySession& session);
  // What every committed point needs: its row, the listeners, the job's figures.
  void record_commit(const access::TenantName& tenant, const images::Point& point,
                     jobs::JobContext& job);

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  SyncOrders* orders_ = nullptr;
  std::vector<CommitListener*> listeners_;
  Timelines* timelines_ = nullptr;
  SpaceGuard* space_ = nullptr;
  RestoreTickets* tickets_ = nullptr;
  // Streams in this map are alive.
  base::Guarded<std::map<base::ByteStream*, Session>> sessions_;
};

}  // namespace appliance::ingest
