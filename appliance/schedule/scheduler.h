// Which machine is synced when. Agents poll for orders; orders that are due, and within the limits,
// are given to them in order of priority. A machine never has two orders at once; however many were
// missed, it gets one. Thread-safe. Errors: as the catalog's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "appliance/alerts/host_conduct.h"
#include "appliance/catalog/catalog.h"
#include "appliance/ingest/sync_orders.h"
#include "appliance/ingest/timelines.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/policy/policy.h"
#include "appliance/schedule/policies.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::schedule {

// The content of an agent's poll (docs/protocol.md, "Orders").
struct SyncOutcome {
  uint64_t order = 0;
  bool succeeded = false;
  std::string error;
};
struct SyncUnderWay {
  uint64_t order = 0;
  std::string machine;
  uint64_t done = 0;   // bytes of all disks processed
  uint64_t total = 0;  // bytes; 0: not known yet
};
// The agent has removed what syncs of a machine keep on its host, or could not.
struct Forgotten {
  std::string machine;
  std::string error;  // a sentence; empty: it did
};
struct Poll {
  // The appliance's own host, which has the machines that run as instant VMs: it reports nothing
  // else.
  bool internal = false;
  std::optional<std::string> report;          // JSON; none: unchanged
  std::vector<std::string> machines;          // that the report names
  std::vector<std::string> running_machines;  // those of them that run, as it says
  size_t left_out = 0;                        // number of machines in it that cannot be accepted
  std::vector<SyncOutcome> outcomes;
  std::vector<SyncUnderWay> running;
  std::vector<Forgotten> forgotten;
};

struct Order {
  uint64_t id = 0;
  std::string machine;
};
struct PollAnswer {
  std::vector<Order> orders;
  std::vector<std::string> to_forget;  // machines that are no longer protected
  std::optional<uint64_t> rate;        // bytes per second, for all syncs of the host together
  uint64_t wait_ms = 0;                // until the next poll, unless a sync ends earlier
  bool wants_report = false;
};

struct Limits {
  uint32_t syncs = 8;       // concurrent, of the appliance
  uint32_t host_syncs = 2;  // concurrent, of each host
};

// How well a machine is protected now.
struct Standing {
  bool wanted = false;
  std::string policy;
  std::optional<uint64_t> next_due_ms;
  std::optional<uint64_t> age_ms;  // of its newest point
  catalog::RecoveryGaps gaps;      // including the present one
  uint64_t overdue_at_ms = 0;
  uint32_t failures = 0;
  std::string last_error;
};

// A host that has polled since the daemon started.
struct SeenHost {
  catalog::TenantName tenant;
  std::set<std::string> machines;
  std::set<std::string> running_machines;  // those of them that run, as it says
  uint64_t polled_ms = 0;                  // by the steady clock
};

// A production machine that its host's agent has just reported running.
struct RunningOriginal {
  std::string host_name;
  uint64_t age_ms = 0;  // of the agent's last message
};

// An agent asks at least every 5 seconds; one that has been silent for longer than this is not
// believed to have seen anything.
constexpr uint64_t kSeenAliveMs = 15'000;

// What it uses besides the catalog; each must outlive it.
struct SchedulerLinks {
  // Machines whose timeline an instant VM holds: orders for them are only for the host that syncs
  // it. Null: there are none. Called under the scheduler's lock.
  ingest::Timelines* timelines = nullptr;
  // Called for an agent that claims what no honest one does; null: not called.
  alerts::HostConduct* conduct = nullptr;
  const base::Clock* clock = &base::system_clock();
};

class Scheduler : public ingest::SyncOrders, public ingest::CommitListener {
 public:
  // All must outlive it.
  Scheduler(catalog::Catalog& catalog, Policies& policies, jobs::JobRunner& jobs,
            const Limits& limits, SchedulerLinks links = {});
  ~Scheduler() override;  // as stop()

  // From now on polls are not answered; orders that were not started fail as cancelled.
  void stop();

  // Expires the orders of hosts that fell silent. Called repeatedly by a duty.
  void expire_silent_orders();

  PollAnswer poll(const catalog::Host& host, const Poll& poll);

  // Orders a sync now; it waits for one whose agent has not yet reported its end. Throws not_found,
  // busy (one is running), unavailable (no agent that could).
  jobs::JobId request(const catalog::TenantName& tenant, const std::string& machine,
                      const access::Requester& requested_by);

  // A machine that is no longer wanted is to be forgotten by its host's agent: the next polls say so
  // until it has answered. Throws not_found for an unknown machine or policy.
  void protect(const catalog::TenantName& tenant, const std::string& machine, bool wanted,
               const std::optional<std::string>& policy);
  Standing standing(const catalog::TenantName& tenant, const catalog::Machine& machine);
  // The hosts that have polled since the daemon started.
  std::map<catalog::HostId, SeenHost> seen_hosts();
  // None if no agent says so: the machine, its host or the network between may have failed.
  std::optional<RunningOriginal> running_original(const access::TenantName& tenant,
                                                  const std::string& machine);
  // The instant VM that holds the machine's timeline, so that its host's syncs are refused.
  std::optional<ingest::TimelineHolder> timeline_holder(const access::TenantName& tenant,
                                                        const std::string& machine);

  std::unique_ptr<jobs::AttachedJob> adopt(const catalog::TenantName& tenant,
                                           const std::string& machine,
                                           const catalog::HostId& host) override;
  // Ends the pause after failures.
  void committed(const catalog::TenantName& tenant, const std::string& machine) override;

 private:
  static constexpr uint64_t kLongestRetryMs = 15 * 60'000;
  using Key = std::pair<catalog::TenantName, std::string>;  // tenant, machine
  using PolicyPointer = std::shared_ptr<const policy::Policy>;
  using Holders = std::map<std::string, catalog::HostId>;  // by machine

  struct LiveOrder {
    uint64_t id = 0;
    catalog::HostId host;
    bool given = false;
    bool adopted = false;  // from an earlier daemon: counts against its host only
    jobs::JobId job;
    std::unique_ptr<jobs::AttachedJob> waiting;  // until the sync starts
    std::string policy;
    std::unique_ptr<LiveOrder> next;  // requested when the job had ended, but not the order
  };
  using Orders = std::map<Key, LiveOrder>;
  using LiveHost = SeenHost;
  struct Candidate {
    catalog::Protection protection;
    PolicyPointer policy;
    uint64_t due_ms = 0;
  };
  struct State {
    Orders orders;
    std::map<catalog::HostId, LiveHost> hosts;
    uint64_t first_order = 0;  // of this daemon
    uint64_t next_order = 0;
    bool stopping = false;
  };

  std::optional<uint64_t> due_of(const catalog::Protection& protection,
                                 std::optional<uint64_t> latest_ms, uint64_t now_ms);
  bool is_silent(const LiveHost& host) const;
  void notice(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  bool is_named_by_another(const State& state, const catalog::Host& host,
                           const std::string& machine) const;
  // The next order takes its place, and is returned; `unbegun` is the error for whoever waited for
  // it.
  Orders::iterator end_order(State& state, Orders::iterator order, const base::Error& unbegun);
  void take_outcome(State& state, const catalog::Host& host, const SyncOutcome& outcome,
                    uint64_t now_ms);
  // Whether an order that this daemon did not give was given by the previous daemon.
  bool may_adopt(State& state, const catalog::Host& host, const SyncUnderWay& sync);
  void complain(const catalog::Host& host, const char* what, const std::string& sentence) const;
  void take_running(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  Holders holders_of(const catalog::TenantName& tenant) const;
  // Takes back orders that a host has for machines that now run as instant VMs.
  void take_back_orders(State& state, const catalog::Host& internal);
  std::vector<Candidate> candidates(State& state, const catalog::Host& host, uint64_t now_ms,
                                    uint64_t& next_ms);
  void take_forgotten(const State& state, const catalog::Host& host, const Poll& poll);
  void order_to_forget(const State& state, const catalog::Host& host, PollAnswer& answer);
  void give_orders(State& state, const catalog::Host& host, uint64_t now_ms, PollAnswer& answer);
  void failed(const Key& key, const std::string& error, uint64_t now_ms);

  catalog::Catalog& catalog_;
  Policies& policies_;
  jobs::JobRunner& jobs_;
  const base::Clock& clock_;
  const Limits limits_;
  const SchedulerLinks links_;
  base::Guarded<State> state_;
};

}  // namespace appliance::schedule
