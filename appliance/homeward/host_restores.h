// Restores to hosts: a person orders one, its host's agent is told so at its next poll, and reads the
// point with the order's ticket (docs/protocol.md, "A session that reads").
//
// Who may read. A ticket is random, known to the host alone to which the order was given, and valid
// for that host's certificate, that point and those disks, from the order until its job has an
// outcome, is cancelled, or the daemon ends: orders and tickets are kept in memory only. After a
// restart of the daemon the job has failed and is ordered again; the host then finds equal what it
// had written.
//
// An order is repeated in every answer to a poll that does not name it as running or ended: the agent
// may have been restarted, and continues. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "appliance/ingest/restore_tickets.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::homeward {

struct HostRestore {
  access::TenantName tenant;
  catalog::HostId host;
  images::PointId point;
  std::vector<std::string> disks;  // empty: all of the point
  bool tells_definition = false;   // the machine is to be defined there
  // What else the agent is told: a JSON object, which this class adds its own fields to.
  std::string target;
  bool is_survey = false;  // it only compares
  // An older point of the machine, which the host may ask to have it compared with. Left out if it is
  // gone, or its disks are others.
  std::optional<images::PointId> base{};
  std::string job_kind = "host-restore";
};

// What an agent says about a restore that was given to it.
struct RestoreReport {
  enum class State { running, succeeded, failed };
  uint64_t order = 0;
  State state = State::running;
  std::string doing;               // a few words
  uint64_t done = 0;               // bytes
  uint64_t total = 0;              // bytes; 0: not known yet
  std::string figures;             // a JSON object of numbers, or empty
  std::string error;               // one sentence
  std::vector<std::string> notes;  // at the end: what was changed and what a person should know
};
constexpr size_t kMaxRestoreNotes = 64;

struct RestoreAnswer {
  std::vector<std::string> orders;    // JSON objects
  std::vector<uint64_t> ended;        // orders that the agent works on and must stop
  std::optional<uint64_t> wait_ms{};  // until the next poll, at most
};

class HostRestores : public ingest::RestoreTickets {
 public:
  // All must outlive it.
  HostRestores(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs,
               const base::Clock& clock = base::system_clock());
  ~HostRestores() override;  // as stop()

  // Throws not_found (the point, a disk), unauthorized (a revoked host, or another tenant's), busy
  // (too many are ordered).
  jobs::JobId order(const HostRestore& restore, const access::Requester& requester);

  RestoreAnswer poll(const catalog::Host& host, const std::vector<RestoreReport>& reports);

  // The host's agent is asked to poll often for some seconds: orders for it are about to come.
  void hurry(const catalog::HostId& host);

  // Ends the orders that were cancelled, and those of hosts that were revoked or fell silent for
  // kSilenceMs in the middle of one. Called every few seconds by a duty.
  void tend();

  // Every order ends as cancelled, and no more are accepted.
  void stop();

  std::unique_ptr<images::OpenedPoint> open(const catalog::Host& host,
                                            const images::wire::Ticket& ticket,
                                            base::ByteStream& stream) override;

  static constexpr size_t kMaxOrders = 256;
  static constexpr size_t kMaxOfHost = 2;  // given to one host at a time
  static constexpr uint64_t kSilenceMs = 30 * 60'000;
  // An agent that polls and does not begin by then does not know what a restore is.
  static constexpr uint64_t kBeginMs = 60'000;

 private:
  struct Live {
    HostRestore restore;
    images::wire::Ticket ticket;
    std::string machine, host;  // names
    uint64_t size = 0;          // of the disks, bytes
    std::unique_ptr<jobs::AttachedJob> job;
    std::set<base::ByteStream*> streams;
    bool given = false;
    bool begun = false;     // the agent has reported it since it was given
    uint64_t heard_ms = 0;  // steady: when it was given, or last reported
  };
  struct State {
    std::map<catalog::HostId, uint64_t> hurried;  // until when, by the steady clock
    std::map<uint64_t, Live> orders;
    uint64_t next_order = 0;
    bool stopping = false;
  };
  using Orders = std::map<uint64_t, Live>;

  static std::string order_text(uint64_t id, const Live& live);
  // What the job is about, and what the agent counted (RestoreReport::figures).
  static std::string figures_of(const Live& live, const std::string& reported);
  void take_report(State& state, const catalog::Host& host, const RestoreReport& report,
                   RestoreAnswer& answer);
  // Voids the ticket, cuts its sessions and ends the job.
  static Orders::iterator end(State& state, Orders::iterator order,
                              const std::optional<base::Error>& error);

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  const base::Clock& clock_;
  base::Guarded<State> state_;
};

}  // namespace appliance::homeward
