// Brings running instant VMs home (docs/failback.md): a person starts, watches and ends failbacks here,
// and one thread takes their steps, each of which is durable in the catalog before it is acted on. After
// a restart of the daemon each goes on with its recorded step. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/boot/boot_service.h"
#include "appliance/catalog/catalog.h"
#include "appliance/failback/failback_rows.h"
#include "appliance/homeward/host_restores.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/schedule/scheduler.h"
#include "base/clock.h"
#include "base/guarded_thread.h"

namespace appliance::failback {

// What failbacks work with; all of it must outlive them.
struct Links {
  catalog::Catalog& catalog;
  jobs::JobRunner& jobs;
  boot::BootService& boots;
  schedule::Scheduler& scheduler;
  homeward::HostRestores& restores;
  const base::Clock& clock = base::system_clock();
};

class FailbackTurn;

class FailbackService {
 public:
  explicit FailbackService(const Links& links);
  ~FailbackService();  // as stop()

  // Starts the thread. Once, when VMs have been adopted.
  void run();
  void stop();

  // Throws not_found, unauthorized (a revoked host), busy (the VM does not run, is a trial, or is on
  // its way already).
  catalog::Failback start(const boot::BootId& boot, const catalog::Host& host,
                          const catalog::FailbackPlan& plan, const access::Requester& requester);
  catalog::Failback get(int64_t id, const access::TenantScope& scope) {
    return rows_.get(id, scope);
  }
  std::vector<catalog::Failback> list(const access::TenantScope& scope, bool over_too);

  // These throw not_found; busy, with a sentence, in a step in which they mean nothing.
  // Switches as soon as it may; a kept VM is given up now.
  catalog::Failback finish(int64_t id, const access::TenantScope& scope);
  catalog::Failback cancel(int64_t id, const access::TenantScope& scope);  // before the switch
  catalog::Failback pause(int64_t id, const access::TenantScope& scope, bool paused);
  // The machine shall run here again: if it has not been started at home. `vouches`: a person knows
  // that home is off and stays off, though it cannot be asked.
  catalog::Failback keep(int64_t id, const access::TenantScope& scope, bool vouches);

  std::vector<alerts::Condition> conditions();

 private:
  void take_turns(const std::stop_token& stop);

  const Links links_;
  FailbackRows rows_;
  std::map<int64_t, std::unique_ptr<FailbackTurn>> turns_;  // the thread's
  base::GuardedThread thread_;
};

}  // namespace appliance::failback
