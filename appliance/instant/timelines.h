// Which instant VMs hold their machines' timelines, according to the boot service's records, which
// are read at each query. Thread-safe.
#pragma once

#include "appliance/alerts/conditions.h"
#include "appliance/boot/boot_service.h"
#include "appliance/catalog/catalog.h"
#include "appliance/ingest/timelines.h"
#include "appliance/stores/tenant_stores.h"
#include "base/guarded.h"

namespace appliance::instant {

class Timelines : public ingest::Timelines {
 public:
  // Both must outlive it.
  Timelines(boot::BootService& boots, stores::TenantStores& stores)
      : boots_(boots), stores_(stores) {}

  std::optional<ingest::TimelineHolder> holder(const std::string& tenant,
                                               const std::string& machine) override;
  std::map<std::string, catalog::HostId> holders(const std::string& tenant) override;

  // The VMs of a tenant that hold a timeline.
  std::vector<boot::InstantVm> vms(const std::string& tenant);

  // An alert for each VM of all tenants that was interrupted and was not restarted.
  std::vector<alerts::Condition> conditions(catalog::Catalog& catalog);

  // From now on this host syncs the tenant's instant VMs.
  void set_host(const std::string& tenant, const catalog::HostId& host);

 private:
  catalog::HostId host_of(const std::string& tenant);

  boot::BootService& boots_;
  stores::TenantStores& stores_;
  base::Guarded<std::map<std::string, catalog::HostId>> hosts_;  // by tenant
};

}  // namespace appliance::instant
