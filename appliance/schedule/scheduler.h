// Which machine is synced when. Agents ask for orders (poll); what is due, and within the limits,
// is given to them in order of priority. A machine never has two orders at once; one that was
// missed is made up for once. A thread of its own settles the alerts, applies the retention and
// has stores compacted and checked.
// Thread-safe. Errors: as the catalog's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/catalog/catalog.h"
#include "appliance/ingest/sync_orders.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/policy/policy.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::schedule {

// What an agent says when it asks for orders (docs/protocol.md, "Orders").
struct SyncOutcome {
  uint64_t order = 0;
  bool succeeded = false;
  std::string error;
};
struct SyncUnderWay {
  uint64_t order = 0;
  std::string machine;
  uint64_t done = 0;   // bytes of all disks dealt with
  uint64_t total = 0;  // bytes; 0: not known yet
};
struct Poll {
  // The appliance's own host, which has the machines that run as instant VMs: it reports nothing
  // else.
  bool internal = false;
  std::optional<std::string> report;  // JSON; none: as before
  std::vector<std::string> machines;  // that the report names
  std::vector<SyncOutcome> outcomes;
  std::vector<SyncUnderWay> running;
};

struct Order {
  uint64_t id = 0;
  std::string machine;
};
struct PollAnswer {
  std::vector<Order> orders;
  std::optional<uint64_t> rate;  // bytes a second, of all syncs of the host together
  uint64_t wait_ms = 0;          // until the next poll, unless a sync ends earlier
  bool wants_report = false;
};

struct Limits {
  uint32_t syncs = 8;       // at once, of the appliance
  uint32_t host_syncs = 2;  // at once, of each host
};

// How well a machine is protected now.
struct Standing {
  bool wanted = false;
  std::string policy;
  std::optional<uint64_t> next_due_ms;
  std::optional<uint64_t> age_ms;  // of its newest point
  catalog::RecoveryGaps gaps;      // the present one included
  uint64_t overdue_at_ms = 0;
  uint32_t failures = 0;
  std::string last_error;
};

// What the scheduler has others do. Called on its thread or a session's, never under its lock, but
// for `holders`.
struct Others {
  // The machines of a tenant whose timeline an instant VM holds, and the host that syncs it: orders
  // for them are for that host alone. Answers at once.
  std::function<std::map<std::string, catalog::HostId>(const std::string& tenant)> holders{};
  // What else is wrong: conditions of the kinds kInstantVmDown, kStoreUnusable, kPointsMissing and
  // kDependencyMissing.
  std::function<std::vector<alerts::Condition>()> conditions{};
  // Throws busy if a point is in use.
  std::function<void(const images::PointId&)> expect_deletable;
  // Orders a test boot of the machine's newest point; `why` is "sync" or "nightly".
  std::function<void(const std::string& tenant, const std::string& machine, const char* why)>
      verify;
  // Says whether the appliance's clock can be believed; null: it can. Outlives the scheduler.
  ClockTrust* clock_trust = nullptr;
  const base::Clock* clock = &base::system_clock();
};

class Scheduler : public ingest::SyncOrders {
 public:
  // Everything outlives the scheduler.
  Scheduler(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs,
            const Limits& limits, const alerts::HookSettings& hooks, Others others);
  ~Scheduler() override;  // as stop()

  void start();
  // Ends the thread; orders that nobody began fail as cancelled.
  void stop();

  PollAnswer poll(const catalog::Host& host, const Poll& poll);

  // Orders a sync now, which waits for one whose agent has not yet said that it is over. Throws
  // not_found, busy (one is under way), unavailable (no agent that could).
  jobs::JobId request(const std::string& tenant, const std::string& machine);

  // Throws not_found for a machine or a policy nobody knows.
  void protect(const std::string& tenant, const std::string& machine, bool wanted,
               const std::optional<std::string>& policy);
  Standing standing(const std::string& tenant, const catalog::Machine& machine);
  // Throws unavailable if alerts, retention and upkeep were not seen to be dealt with lately.
  void expect_watching();
  // The text of a policy; the default one exists always. Throws not_found.
  policy::PolicyText policy_text(const std::string& tenant, const std::string& name);

  std::unique_ptr<jobs::AttachedJob> adopt(const std::string& tenant, const std::string& machine,
                                           const catalog::HostId& host) override;
  void committed(const std::string& tenant, const std::string& machine) override;

 private:
  static constexpr uint64_t kLongestRetryMs = 15 * 60'000;
  using Key = std::pair<std::string, std::string>;  // tenant, machine
  using PolicyPointer = std::shared_ptr<const policy::Policy>;
  using Holders = std::map<std::string, catalog::HostId>;  // by machine

  struct LiveOrder {
    uint64_t id = 0;
    catalog::HostId host;
    bool given = false;
    jobs::JobId job;
    std::unique_ptr<jobs::AttachedJob> waiting;  // until the sync begins
    std::string policy;
    std::unique_ptr<LiveOrder> next;  // asked for when the job was over, but not the order
  };
  using Orders = std::map<Key, LiveOrder>;
  struct LiveHost {
    std::string tenant;
    std::set<std::string> machines;
    uint64_t polled_ms = 0;  // by the steady clock
  };
  struct Candidate {
    catalog::Protection protection;
    PolicyPointer policy;
    uint64_t due_ms = 0;
  };
  // When it was last ordered for a store.
  struct Upkeep {
    uint64_t compacted_ms = 0;
    uint64_t checked_ms = 0;
  };
  struct State {
    Orders orders;
    std::map<catalog::HostId, LiveHost> hosts;
    std::map<Key, std::pair<std::string, PolicyPointer>> policies;  // tenant, name: body, meaning
    uint64_t next_order = 0;
    std::optional<uint64_t> retained_ms;   // when retention was last applied, by the steady clock
    std::optional<uint64_t> forgotten_ms;  // likewise: when old rows were last forgotten
    uint64_t verified_ms = 0;              // up to when nightly test boots were ordered
    std::map<std::string, Upkeep> upkeep;  // by tenant
    bool stopping = false;
  };

  PolicyPointer policy_of(State& state, const std::string& tenant, const std::string& name);
  std::optional<uint64_t> due_of(State& state, const catalog::Protection& protection,
                                 std::optional<uint64_t> latest_ms, uint64_t now_ms);
  bool is_silent(const LiveHost& host) const;
  void forget_old(State& state, uint64_t now_ms);
  void notice(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  // The one after it takes its place, and is what is returned; `unbegun` is for who waited for it.
  Orders::iterator end_order(State& state, Orders::iterator order, const base::Error& unbegun);
  void take_outcome(State& state, const catalog::Host& host, const SyncOutcome& outcome,
                    uint64_t now_ms);
  void take_running(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  Holders holders_of(const std::string& tenant) const;
  // Orders that a host has for machines that are an instant VM's now.
  void take_back_orders(State& state, const catalog::Host& internal);
  std::vector<Candidate> candidates(State& state, const catalog::Host& host, uint64_t now_ms,
                                    uint64_t& next_ms);
  void give_orders(State& state, const catalog::Host& host, uint64_t now_ms, PollAnswer& answer);
  void failed(const Key& key, const std::string& error, uint64_t now_ms);
  alerts::Facts facts(State& state, uint64_t now_ms);
  void add_test_boots(alerts::MachineFacts& machine, const policy::Policy& policy);
  void retain(State& state);
  void keep_up(State& state, uint64_t now_ms);
  // Brings `last_ms`, when that kind of job was last ordered for the tenant, up to date. Times that
  // are still to come, of a clock that was ahead, count for nothing.
  bool is_due(uint64_t& last_ms, const catalog::Tenant& tenant, const char* kind, uint64_t every_ms,
              uint64_t now_ms);
  bool is_check_under_way();
  std::vector<Key> due_verifications(State& state, uint64_t now_ms);
  void verify(const Key& machine, const char* why);
  void watch();

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  const base::Clock& clock_;
  const Limits limits_;
  const uint64_t started_ms_;  // by the steady clock
  const Others others_;
  struct Watching {
    std::string problem;  // of the last round; empty: it was well
    std::chrono::steady_clock::time_point ended = std::chrono::steady_clock::now();
  };
  base::Guarded<Watching> watching_;
  alerts::AlertBook alerts_;  // used by the thread alone
  base::Guarded<State> state_;
  std::condition_variable changed_;  // with state_: `stopping`
  std::jthread thread_;
};

}  // namespace appliance::schedule
