// Which instant VMs hold their machines' timelines, according to the boot service's records, which
// are read at each query. Thread-safe.
#pragma once

#include "appliance/alerts/conditions.h"
#include "appliance/boot/boot_service.h"
#include "appliance/ingest/timelines.h"
#include "base/guarded.h"

namespace appliance::instant {

class VmTimelines : public ingest::Timelines {
 public:
  // Must outlive it.
  explicit VmTimelines(boot::BootService& boots) : boots_(boots) {}

  std::optional<ingest::TimelineHolder> holder(const access::TenantName& tenant,
                                               const std::string& machine) override;
  std::map<std::string, catalog::HostId> holders(const access::TenantName& tenant) override;

  // The VMs of a tenant that hold a timeline.
  std::vector<boot::InstantVm> vms(const access::TenantName& tenant);

  // An alert for each VM of all tenants that was interrupted and was not restarted.
  std::vector<alerts::Condition> conditions();

  // From now on this host syncs the tenant's instant VMs.
  void set_host(const access::TenantName& tenant, const catalog::HostId& host);

 private:
  catalog::HostId host_of(const access::TenantName& tenant);

  boot::BootService& boots_;
  base::Guarded<std::map<access::TenantName, catalog::HostId>> hosts_;  // by tenant
};

}  // namespace appliance::instant
