// Deletes the points that policies do not keep (plan.h decides which), and says in advance what it
// will delete and why. A thread of its own examines every machine once a minute; the deletions are
// jobs of the kind "retention", at most one for a machine at a time, none if nothing is to be
// removed.
//
// It deletes nothing while it lacks information: the appliance's clock is not trusted, a policy or
// the record of a boot cannot be read, a new rule waits for its grace. That, and each failure,
// raises an alert, as does a thread that does not finish its round in time. It does not need
// libvirt.
//
// The same thread prunes once an hour (pruning.h). Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/points/point_deletion.h"
#include "appliance/retention/machine_look.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::retention {

// Protected machines of a tenant.
struct Selection {
  catalog::TenantName tenant;
  std::string policy{};   // empty: of any policy
  std::string machine{};  // empty: all
};

struct Applied {
  std::vector<jobs::JobId> jobs;
  std::vector<MachinePlan> held;  // machines from which nothing is removed, each with the reason
};

class RetentionService {
 public:
  // All must outlive it.
  RetentionService(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs,
                   points::PointDeletion& deletion, Surroundings surroundings);
  ~RetentionService();  // as stop()

  void start();
  void stop();

  // Examines all machines once: what the thread does. Never throws.
  void run();

  // What would happen to the machines' points now or, if `keep` is given, if that were their rule.
  // Changes nothing. Throws not_found (there is no such machine or policy), invalid_argument (no
  // such rule).
  std::vector<MachinePlan> preview(const Selection& selection,
                                   const std::optional<std::string>& keep = std::nullopt);

  // The same for each point of the tenant's protected machines, for lists; for one machine, or for
  // all if it is empty.
  std::map<images::PointId, Decision> decisions(const catalog::TenantName& tenant,
                                                const std::string& machine);

  enum class Haste {
    within_bounds,  // as the thread does
    now,            // new rules do not wait, and everything is removed by one job
  };
  // Deletes what is to be removed without waiting for the next round. Throws not_found.
  Applied apply(const Selection& selection, Haste haste, const access::Requester& requested_by);

  // Problems: kRetentionFailing of tenants, kRetentionHeld of machines.
  std::vector<alerts::Condition> conditions();

 private:
  using Key = std::pair<catalog::TenantName, std::string>;  // tenant, machine
  struct Standing {
    jobs::JobId job;                // its last one; 0: none
    bool is_hasty = false;          // the job is to remove everything at once
    std::string held;               // why points that are to be removed are kept, at the last look
    std::string beyond;             // at the last look
    std::string failure;            // of the last attempt; empty: it did not fail
    uint64_t failing_since_ms = 0;  // UTC
    uint32_t failures = 0;          // in a row
    uint64_t next_try_ms = 0;       // monotonic
  };
  struct State {
    std::map<Key, Standing> machines;
    std::optional<uint64_t> round_ms;   // monotonic: when the last complete round ended
    uint64_t round_wall_ms = 0;         // the same, UTC
    std::optional<uint64_t> pruned_ms;  // monotonic
  };

  std::vector<catalog::Protection> selected(const Selection& selection);
  void tend(const catalog::Protection& protection);
  void remember(const MachinePlan& plan);
  bool is_under_way(const jobs::JobId& id);
  std::optional<jobs::JobId> submit(const MachinePlan& plan, Haste haste,
                                    const access::Requester& requested_by);
  void work(const Key& key, jobs::JobContext& context);
  struct Removal {
    size_t removed = 0, busy = 0;
  };
  void remove(const MachinePlan& plan, size_t most, Removal& sum, jobs::JobContext& context);
  bool take_haste(const Key& key);
  void failed(const Key& key, const std::string& problem);
  void prune_hourly();
  void watch(const std::stop_token& stop);

  catalog::Catalog& catalog_;
  jobs::JobRunner& jobs_;
  points::PointDeletion& deletion_;
  const Surroundings around_;
  const MachineLook look_;
  base::Guarded<State> state_;
  base::GuardedThread thread_;
};

}  // namespace appliance::retention
