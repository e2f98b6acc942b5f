// Which machine is synced when. Agents ask for orders (poll); what is due, and within the limits,
// is given to them in order of priority. A machine never has two orders at once; one that was
// missed is made up for once.
//
// It also wires what the appliance does by itself (duties.h): orders of silent hosts end, old rows
// go, stores are compacted and checked (upkeep.h), machines are tested at night (nightly_tests.h),
// and alerts are settled (alert_watch.h).
// Thread-safe. Errors: as the catalog's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "appliance/alerts/alert_book.h"
#include "appliance/alerts/channels.h"
#include "appliance/alerts/host_conduct.h"
#include "appliance/catalog/catalog.h"
#include "appliance/ingest/sync_orders.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/policy/policy.h"
#include "appliance/schedule/alert_watch.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/schedule/duties.h"
#include "appliance/schedule/nightly_tests.h"
#include "appliance/schedule/protection_facts.h"
#include "appliance/schedule/upkeep.h"
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
  size_t left_out = 0;                // machines that it names and that cannot be taken
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

// What the scheduler has others do. Called on a duty's or a session's thread, never under its lock,
// but for `holders`.
struct Others {
  // The machines of a tenant whose timeline an instant VM holds, and the host that syncs it: orders
  // for them are for that host alone. Answers at once.
  std::function<std::map<std::string, catalog::HostId>(const std::string& tenant)> holders{};
  // Instant VMs that do not run and should: conditions of the kind kInstantVmDown.
  std::function<std::vector<alerts::Condition>()> conditions{};
  // Orders a test boot of the machine's newest point; `why` is "sync" or "nightly".
  std::function<void(const std::string& tenant, const std::string& machine, const char* why)>
      verify;
  // Says whether the appliance's clock can be believed; null: it can. Outlives the scheduler.
  ClockTrust* clock_trust = nullptr;
  const base::Clock* clock = &base::system_clock();
  // Other places where something may be wrong, each with its kinds of alerts.
  std::vector<AlertSource> alert_sources{};
  // Told of an agent that says what no honest one does.
  std::function<void(const catalog::Host&, const alerts::Misconduct&)> misconduct{};
};

class Scheduler : public ingest::SyncOrders {
 public:
  // Everything outlives the scheduler.
  Scheduler(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs,
            const Limits& limits, const alerts::ChannelSettings& channels, Others others);
  ~Scheduler() override;  // as stop()

  void start();
  // Ends the duties; orders that nobody began fail as cancelled.
  void stop();

  // Its duties that are not being done now, for who asks how the appliance is.
  std::vector<DutyFailure> duty_failures() { return duties_.failures(); }
  alerts::AlertChannels& channels() { return channels_; }

  PollAnswer poll(const catalog::Host& host, const Poll& poll);

  // Orders a sync now, which waits for one whose agent has not yet said that it is over. Throws
  // not_found, busy (one is under way), unavailable (no agent that could).
  jobs::JobId request(const std::string& tenant, const std::string& machine,
                      const access::Requester& requested_by);

  // Throws not_found for a machine or a policy nobody knows.
  void protect(const std::string& tenant, const std::string& machine, bool wanted,
               const std::optional<std::string>& policy);
  Standing standing(const std::string& tenant, const catalog::Machine& machine);
  // Throws unavailable if alerts were not seen to be settled lately.
  void expect_watching();
  // What a machine's policy means; one that was removed or cannot be read counts as the default
  // one.
  std::shared_ptr<const policy::Policy> policy(const std::string& tenant, const std::string& name);
  // The hosts that have polled since the daemon began.
  std::map<catalog::HostId, SeenHost> seen_hosts();
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
    bool adopted = false;  // of an earlier daemon: counts against its host alone
    jobs::JobId job;
    std::unique_ptr<jobs::AttachedJob> waiting;  // until the sync begins
    std::string policy;
    std::unique_ptr<LiveOrder> next;  // asked for when the job was over, but not the order
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
    std::map<Key, std::pair<std::string, PolicyPointer>> policies;  // tenant, name: body, meaning
    uint64_t first_order = 0;                                       // of this daemon
    uint64_t next_order = 0;
    std::optional<uint64_t> forgotten_ms;  // steady: when old rows were last forgotten
    bool stopping = false;
  };

  PolicyPointer policy_of(State& state, const std::string& tenant, const std::string& name);
  std::optional<uint64_t> due_of(State& state, const catalog::Protection& protection,
                                 std::optional<uint64_t> latest_ms, uint64_t now_ms);
  bool is_silent(const LiveHost& host) const;
  void forget_old(State& state, uint64_t now_ms);
  void notice(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  bool is_named_by_another(const State& state, const catalog::Host& host,
                           const std::string& machine) const;
  // The one after it takes its place, and is what is returned; `unbegun` is for who waited for it.
  Orders::iterator end_order(State& state, Orders::iterator order, const base::Error& unbegun);
  void take_outcome(State& state, const catalog::Host& host, const SyncOutcome& outcome,
                    uint64_t now_ms);
  // Whether an order that this daemon did not give is one of the daemon before.
  bool may_adopt(State& state, const catalog::Host& host, const SyncUnderWay& sync);
  void complain(const catalog::Host& host, const char* what, const std::string& sentence) const;
  void take_running(State& state, const catalog::Host& host, const Poll& poll, uint64_t now_ms);
  Holders holders_of(const std::string& tenant) const;
  // Orders that a host has for machines that are an instant VM's now.
  void take_back_orders(State& state, const catalog::Host& internal);
  std::vector<Candidate> candidates(State& state, const catalog::Host& host, uint64_t now_ms,
                                    uint64_t& next_ms);
  void give_orders(State& state, const catalog::Host& host, uint64_t now_ms, PollAnswer& answer);
  void failed(const Key& key, const std::string& error, uint64_t now_ms);
  // A host that fell silent with orders in its hands gives them up.
  void expire_silent_orders();
  void add_duties();
  void settle_alerts();
  std::vector<AlertSource> alert_sources();
  std::vector<alerts::Condition> duty_conditions();

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  const base::Clock& clock_;
  const Limits limits_;
  const uint64_t started_ms_;  // by the steady clock
  const Others others_;
  base::Guarded<State> state_;
  alerts::AlertChannels channels_;
  alerts::AlertBook alerts_;  // used by the duty `alerts` alone, as is watch_
  StoreUpkeep upkeep_;        // used by its duty alone, as is nightly_
  NightlyTests nightly_;
  AlertWatch watch_;
  bool unsettled_ = false;  // of the duty `alerts`: the last round could not write alerts down
  DutyRunner duties_;       // last: they use everything above
};

}  // namespace appliance::schedule
