// What the ingest asks the component that orders syncs. Implementations are thread-safe.
#pragma once

#include <memory>
#include <string>

#include "appliance/catalog/records.h"
#include "appliance/jobs/job_runner.h"

namespace appliance::ingest {

class SyncOrders {
 public:
  virtual ~SyncOrders() = default;

  // The job of the order that this sync fulfils; null if it was not ordered.
  virtual std::unique_ptr<jobs::AttachedJob> adopt(const catalog::TenantName& tenant,
                                                   const std::string& machine,
                                                   const catalog::HostId& host) = 0;
};

// Called for each point that agents have synced. Implementations are thread-safe.
class CommitListener {
 public:
  virtual ~CommitListener() = default;

  // A point of the machine is durable and in the catalog, whether ordered or not.
  virtual void committed(const catalog::TenantName& tenant, const std::string& machine) = 0;
};

}  // namespace appliance::ingest
