// Syncs running instant VMs into their machines' timelines, when the scheduler says so: for the
// scheduler this is one more agent, which has the machines that run here. Each sync is a process of
// the agent's own program, which reaches this daemon as any agent does, under the identity of
// internal_host.h.
//
// A thread of its own: it starts the processes, and they die with it. Thread-safe.
#pragma once

#include <list>
#include <map>
#include <string>

#include "appliance/boot/boot_service.h"
#include "appliance/catalog/catalog.h"
#include "appliance/instant/internal_host.h"
#include "appliance/instant/timelines.h"
#include "appliance/pki/authority.h"
#include "appliance/schedule/scheduler.h"
#include "base/guarded_thread.h"
#include "base/subprocess.h"

namespace appliance::instant {

struct InstantSyncSettings {
  std::string state_directory;  // the daemon's: identities and tracking lie in its folder instant/
  std::string run_directory;    // the daemon's
  std::string appliance;        // HOST:PORT where this daemon listens
  std::string libvirt_uri;
};

class InstantSyncs {
 public:
  // Everything outlives it.
  InstantSyncs(InstantSyncSettings settings, catalog::Catalog& catalog,
               const pki::Authority& authority, boot::BootService& boots, Timelines& timelines,
               schedule::Scheduler& scheduler);
  ~InstantSyncs();  // ends the thread, and the syncs that run

 private:
  struct Sync {
    uint64_t order = 0;
    std::string machine;
    std::string files;  // paths without their endings
    base::Subprocess process;
  };
  struct Tenant {
    std::optional<catalog::Host> host;
    std::map<std::string, boot::InstantVm> running;  // by machine
    std::list<Sync> syncs;
    std::vector<schedule::SyncOutcome> outcomes;  // not told yet
  };

  void run(const std::stop_token& stop);
  // True if anything is to be looked after.
  bool look(const std::string& name, Tenant& tenant);
  void poll(const std::string& name, Tenant& tenant);
  void begin(Tenant& tenant, const std::string& name, const schedule::Order& order);
  static void collect(Tenant& tenant);
  static void end(Tenant& tenant);
  InternalHostPlaces places_of(const std::string& tenant) const;
  void take_over_old_folders() const;

  const InstantSyncSettings settings_;
  catalog::Catalog& catalog_;
  const pki::Authority& authority_;
  boot::BootService& boots_;
  Timelines& timelines_;
  schedule::Scheduler& scheduler_;
  base::GuardedThread thread_;
};

}  // namespace appliance::instant
