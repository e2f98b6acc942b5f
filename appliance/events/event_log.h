// What has just happened on the appliance, for clients that follow it live. The newest kMaxKept
// events are kept in memory, for all clients together: a client has only a place in them. So a
// client that does not read costs nothing, and one that falls too far back is told that it has
// missed something. Nothing is durable: after a restart of the daemon there are no events, and the
// lists of jobs, alerts, instant VMs and points are the truth in any case. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/tenant_name.h"
#include "appliance/access/tenant_scope.h"
#include "base/guarded.h"

namespace appliance::events {

enum class EventKind {
  alert_opened,
  alert_closed,
  job_begun,
  job_ended,
  boot_begun,     // an instant VM or a test boot runs
  boot_ended,     // it no longer does, for whatever reason
  point_arrived,  // an agent's sync has added a point
};
std::string_view event_kind_name(EventKind kind);  // "alert-opened"

struct Event {
  uint64_t sequence = 0;  // set by the log; ascending, but not without gaps for a tenant
  uint64_t time_ms = 0;   // set by the log
  EventKind event = EventKind::job_begun;
  access::TenantName tenant{};  // whose it is
  std::string kind{};           // of the alert, of the job, or the VM's purpose; may be empty
  std::string subject{};        // the machine, or what the alert or the job is about
  std::string id{};             // of the job, the VM or the point; empty for alerts
  std::string state{};          // of the job or the VM, as it is then; may be empty
  std::string message{};        // for people: the alert's, the job's error, the VM's problem
};

class EventLog {
 public:
  static constexpr size_t kMaxKept = 1000;
  static constexpr size_t kMaxText = 1000;  // bytes of each text; longer ones are truncated

  // Sequence numbers follow `start`. A start that grows from one daemon to the next keeps a place
  // of an earlier daemon from being taken for one of this.
  explicit EventLog(uint64_t start);

  // Never throws and never waits for a client: it may be called wherever something happens.
  void add(Event event) noexcept;

  uint64_t newest() const;  // the sequence number of the last event

  struct Piece {
    std::vector<Event> events;  // oldest first
    uint64_t next = 0;          // the place after them: `after` of the next call
    // Events after that place are no longer kept, or it was never one of this log's.
    bool is_lost = false;
  };
  // Events after `after` that the scope sees, at most `limit`.
  Piece after(uint64_t after, const access::TenantScope& scope, size_t limit) const;
  // All that are kept.
  Piece all(const access::TenantScope& scope) const;

  // Whether after() was called within the last few seconds: somebody follows.
  bool is_followed() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    std::deque<Event> events;  // ascending by sequence, which has no gaps here
    uint64_t newest = 0;
    std::optional<Clock::time_point> last_read;
  };
  static void collect(const State& state, const access::TenantScope& scope, size_t limit,
                      Piece& piece);
  mutable base::Guarded<State> state_;
};

}  // namespace appliance::events
