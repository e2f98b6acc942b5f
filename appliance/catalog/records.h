// What the catalog stores, as values. Times are milliseconds since 1970 in UTC.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/node_id.h"
#include "appliance/access/tenant_name.h"
#include "appliance/access/tenant_scope.h"
#include "appliance/access/user_role.h"
#include "base/error.h"
#include "images/ids.h"
#include "images/point.h"

namespace appliance::catalog {

using HostId = images::Id<struct HostTag, 16>;
using TokenId = images::Id<struct TokenTag, 8>;
using UserId = images::Id<struct UserTag, 8>;

// Jobs are numbered 1, 2, 3, …: people say the numbers on the phone.
struct JobId {
  int64_t number = 0;
  auto operator<=>(const JobId&) const = default;
};

using access::kDefaultTenant;
using access::NodeId;
using access::TenantName;
using access::TenantScope;

// A host that every tenant has in addition to its own: the appliance itself, which syncs instant
// VMs. No other host can enrol under this name.
constexpr std::string_view kInternalHostName = "(appliance)";

struct Tenant {
  TenantName name;
  uint64_t created_ms = 0;
};

// The one store that belongs to a tenant. None is known for a tenant whose store has not been
// created yet.
struct StoreRecord {
  std::optional<images::StoreId> id;  // unknown: this catalog was made by an older version
  std::string directory;              // empty: the tenant's folder below the state folder
};

// A point that the catalog knew, and that its store no longer has though it was not deleted here.
struct MissingPoint {
  images::PointId id;
  std::string machine_name;
  uint64_t time_ms = 0;
  uint64_t size = 0;  // bytes
  images::Consistency consistency = images::Consistency::crash;
  uint64_t noticed_ms = 0;
};

// What happens to points that a store does not have.
enum class LostPoints {
  keep_in_mind,  // they become missing points
  forget,        // so are those that were missing before: requested by an operator
};

// A production server on which an agent runs.
struct Host {
  HostId id;
  TenantName tenant;
  std::string name;
  std::string certificate_serial;  // lower-case hexadecimal, of its newest certificate
  std::string version;             // of its agent, as last reported
  uint64_t enrolled_ms = 0;
  std::optional<uint64_t> last_seen_ms;
  bool revoked = false;
  uint64_t certified_ms = 0;  // when its newest certificate was issued
};

enum class TokenKind {
  enrolment,  // valid for one `muletto-agent enroll`
  // Lets the command line and scripts use the API remotely, until it expires or is revoked.
  operator_,
};
std::string_view token_kind_name(TokenKind kind);       // "enrolment", "operator"
TokenKind token_kind_from_name(std::string_view name);  // throws invalid_argument

// The secret itself is shown once and never stored.
struct Token {
  TokenId id;
  TokenKind kind = TokenKind::enrolment;
  TenantName tenant;
  std::string note;
  uint64_t created_ms = 0;
  std::optional<uint64_t> expires_ms;
  std::optional<uint64_t> used_ms;  // the one use of an enrolment, the last one of an operator
  bool tenant_only = false;         // an operator's, limited to this tenant
  access::UserRole role = access::UserRole::administrator;  // an operator's
  // Who made it; none: root, or a token of an older version. It counts only as long as the user
  // does, and never for more than the user may do now.
  std::optional<UserId> made_by{};
  std::string made_by_name{};  // empty without
  access::UserRole made_by_role = access::UserRole::owner;
};

struct Machine {
  images::MachineId id;
  TenantName tenant;
  std::string name;
  std::optional<HostId> host;  // whose agent may write it
  std::string host_name;       // of `host`; empty without
  uint64_t created_ms = 0;
  // From its points:
  uint64_t point_count = 0;
  std::optional<images::PointId> latest_point;
  std::optional<uint64_t> latest_ms;  // when it was received
  images::PointDates latest_dates;
  uint64_t size = 0;  // of all disks in the latest point, bytes
};

// A point as lists show it; the manifest in the store is the truth.
struct PointRow {
  TenantName tenant;
  images::PointSummary summary;
  std::optional<uint64_t> damage_found_ms;  // when a check of the store found it damaged
};

enum class JobState { queued, running, succeeded, failed, cancelled };
std::string_view job_state_name(JobState state);
JobState job_state_from_name(std::string_view name);  // throws invalid_argument
inline bool is_over(JobState state) { return state > JobState::running; }

struct JobProgress {
  uint64_t done = 0;
  uint64_t total = 0;  // 0: not known
  std::string phase;   // what it is doing now, for people
};

struct Job {
  JobId id;
  std::string kind;  // "sync", "check", "compact", "delete", "wait", …
  TenantName tenant;
  std::string subject;       // what it works on: a machine, a point, …
  std::string requested_by;  // as access::Requester; empty for jobs of a version without it
  NodeId node;               // whose process runs it; zero for jobs of a version without it
  JobState state = JobState::queued;
  JobProgress progress;
  std::string figures = "{}";  // a JSON object, by kind
  std::optional<base::ErrorCode> error_code;
  std::string error_message;
  uint64_t created_ms = 0;
  std::optional<uint64_t> started_ms;
  std::optional<uint64_t> ended_ms;
};

// The result of the last check of a tenant's store.
struct StoreCheck {
  uint64_t checked_ms = 0;
  bool deep = false;  // every chunk was decoded and compared with its hash
  uint64_t problem_count = 0;
  std::string first_problem;  // a sentence
};

// Whether a machine is to be synced by the appliance's schedule, and the state of that. A machine
// without one was never reported by an agent that runs as a service, nor named by an operator.
struct Protection {
  TenantName tenant;
  std::string machine;
  bool wanted = false;
  std::string policy;       // empty: the tenant's default
  uint64_t noticed_ms = 0;  // first reported by a host
  uint64_t begun_ms = 0;    // when a sync was last ordered; 0: never
  bool in_flight = false;   // and has neither ended nor failed
  uint32_t failures = 0;    // in a row
  uint64_t retry_ms = 0;    // not before, after a failure
  std::string last_error;
  // It is no longer wanted, and its host has not yet removed what syncs keep there.
  bool to_forget = false;
};

// The result of recording the names that a host's agent reported.
struct Noticed {
  std::vector<std::string> machines;  // that were new, and are recorded now
  uint64_t refused_count = 0;         // names beyond what a host may introduce
};

// The last report of a host's agent: a JSON object (docs/protocol.md, "Reports").
struct HostReport {
  HostId host;
  uint64_t time_ms = 0;
  std::string body;
};

// What the appliance's clocks showed when its wall clock was last trusted
// (schedule/clock_trust.h).
struct ClockMark {
  std::string boot;  // of the machine: the boot to which the steady time belongs
  uint64_t steady_ms = 0;
  uint64_t wall_ms = 0;
  std::string doubted_in;  // the boot since which it has been doubted; empty: it is not
};

// The longest time that a machine was without a newer point.
struct RecoveryGaps {
  uint64_t worst_day_ms = 0;
  uint64_t worst_week_ms = 0;
};

struct Alert {
  int64_t id = 0;
  TenantName tenant;
  std::string kind;
  std::string subject;
  std::string message;
  uint64_t opened_ms = 0;
  std::optional<uint64_t> closed_ms;
  std::optional<uint64_t> acknowledged_ms;
  std::string acknowledged_by{};    // as access::Requester; empty: unknown, or nobody did
  std::string acknowledged_note{};  // may be empty
  uint64_t last_ms = 0;             // when the condition was last seen; see AlertRecords
  // Nobody is notified of it until then; none: it was never silenced. May have passed.
  std::optional<uint64_t> silenced_until_ms{};
  std::string silenced_by{};
  std::string silence_note{};
};

struct JobLogLine {
  int64_t sequence = 0;  // ascending within a job
  uint64_t time_ms = 0;
  std::string text;
};

}  // namespace appliance::catalog
