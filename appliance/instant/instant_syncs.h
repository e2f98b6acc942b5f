// Syncs running instant VMs into their machines' timelines, when the scheduler orders it: for the
// scheduler this is one more agent, whose machines are the instant VMs that run here. Each sync is
// a process of the agent program, which connects to this daemon as any agent does, under the
// identity of internal_host.h.
//
// It has a thread of its own that starts the processes, which die with the thread. Thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/orders/sync_processes.h"
#include "appliance/boot/boot_service.h"
#include "appliance/catalog/catalog.h"
#include "appliance/instant/internal_host.h"
#include "appliance/instant/vm_timelines.h"
#include "appliance/pki/authority.h"
#include "appliance/schedule/scheduler.h"
#include "base/guarded_thread.h"

namespace appliance::instant {

struct InstantSyncSettings {
  std::string state_directory;  // the daemon's: identities and tracking are in its folder instant/
  std::string run_directory;    // the daemon's
  std::string appliance;        // HOST:PORT on which this daemon listens
  std::string libvirt_uri;
};

class InstantSyncs {
 public:
  // Everything must outlive it.
  InstantSyncs(InstantSyncSettings settings, catalog::Catalog& catalog,
               const pki::Authority& authority, boot::BootService& boots, VmTimelines& timelines,
               schedule::Scheduler& scheduler);
  ~InstantSyncs();  // ends the thread, and the running syncs

 private:
  struct Tenant {
    std::optional<catalog::Host> host;
    std::map<std::string, boot::InstantVm> running;     // by machine
    std::optional<agent::orders::SyncProcesses> syncs;  // created for the first poll
    std::vector<schedule::SyncOutcome> outcomes;        // not reported yet
  };

  void run(const std::stop_token& stop);
  // True if there is anything to do.
  bool look(const catalog::TenantName& name, Tenant& tenant);
  void poll(const catalog::TenantName& name, Tenant& tenant);
  void begin(Tenant& tenant, const catalog::TenantName& name, const schedule::Order& order);
  InternalHostPaths places_of(const catalog::TenantName& tenant) const;
  void take_over_old_folders() const;

  const InstantSyncSettings settings_;
  catalog::Catalog& catalog_;
  const pki::Authority& authority_;
  boot::BootService& boots_;
  VmTimelines& timelines_;
  schedule::Scheduler& scheduler_;
  base::GuardedThread thread_;
};

}  // namespace appliance::instant
