// What is wrong, derived from what is known: a pure function, so that every reason for silence can
// be tested. Times are milliseconds since 1970 in UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::alerts {

constexpr const char* kMachineOverdue = "machine-overdue";
constexpr const char* kMachineUnprotected = "machine-unprotected";
constexpr const char* kSyncFailing = "sync-failing";
constexpr const char* kHostSilent = "host-silent";
constexpr const char* kStoreNearlyFull = "store-nearly-full";
constexpr const char* kPointsDamaged = "points-damaged";
constexpr const char* kStoreDamaged = "store-damaged";
constexpr const char* kVerificationFailed = "verification-failed";
constexpr const char* kRecoverySlow = "recovery-slow";
constexpr const char* kInstantVmDown = "instant-vm-down";
constexpr const char* kClockWrong = "clock-wrong";          // a host's
constexpr const char* kApplianceClock = "appliance-clock";  // our own
constexpr const char* kStoreUnusable = "store-unusable";    // missing, foreign, read-only, …
constexpr const char* kPointsMissing = "points-missing";    // a store has lost points
constexpr const char* kDependencyMissing = "dependency-missing";  // see appliance/presence
constexpr const char* kVerificationOverdue = "verification-overdue";
constexpr const char* kDutyFailing = "duty-failing";
constexpr const char* kAlertChannelFailing = "alert-channel-failing";
constexpr const char* kInternalError = "internal-error";
constexpr const char* kSyncsWithoutSpace = "syncs-without-space";
constexpr const char* kQuotaNearlyUsed = "quota-nearly-used";
constexpr const char* kHostVolume = "host-volume";
constexpr const char* kCertificateEnds = "certificate-ends";
constexpr const char* kIsolationLost = "isolation-lost";
constexpr const char* kHostMisbehaves = "host-misbehaves";
constexpr const char* kRetentionFailing = "retention-failing";
constexpr const char* kTimelineTaken = "timeline-taken";
constexpr const char* kBackupOld = "backup-old";  // of the appliance itself
constexpr const char* kRetentionHeld = "retention-held";
constexpr const char* kRestoreFailed = "restore-failed";  // see appliance/restores
constexpr const char* kFailbackUndecided = "failback-undecided";
constexpr const char* kFailbackFailing = "failback-failing";
constexpr const char* kOriginalStarted = "original-started";
constexpr const char* kOriginalUnguarded = "original-unguarded";
constexpr const char* kGuessing = "sign-in-guessing";
constexpr const char* kAuditBroken = "audit-broken";
constexpr const char* kVerificationInconclusive = "verification-inconclusive";
constexpr const char* kCompactionFailing = "compaction-failing";
constexpr const char* kDataLooksEncrypted = "data-looks-encrypted";
constexpr const char* kDiskErrors = "disk-errors";
constexpr const char* kArrayDegraded = "array-degraded";
constexpr const char* kStoreFills = "store-fills";
constexpr const char* kAgentOutdated = "agent-outdated";

struct Condition {
  std::string kind;
  catalog::TenantName tenant;
  std::string subject;
  std::string message;
};

struct HostFacts {
  catalog::TenantName tenant;
  std::string name;
  bool revoked = false;
  bool is_service = false;  // its agent has reported at least once
  uint64_t last_seen_ms = 0;
  // Of its newest point, if the clock was wrong: the machine, and by how much.
  std::string clock_machine;
  std::string clock_note;
};

struct MachineFacts {
  catalog::TenantName tenant;
  std::string name;
  bool imported = false;      // no agent has ever reported it: no schedule applies to it
  bool wanted = false;        // to be synced by schedule
  bool schedule_off = false;  // but its policy's schedule is off
  std::optional<uint64_t> latest_ms;
  uint64_t overdue_at_ms = 0;  // when a newer point should have arrived
  uint32_t failures = 0;
  std::string last_error;
  std::optional<HostFacts> host;  // the host whose agent writes it
  // Its host says that it runs, and this instant VM holds its timeline: nobody syncs what happens
  // on it. Empty: not so.
  std::string timeline_vm;
  // Of its newest tested point: why it failed; empty: it passed, or is not known.
  std::string boot_failure;
  std::optional<uint64_t> recovery_ms;  // the median of its newest three passed test boots
  std::optional<uint64_t> rto_ms;       // its policy's target for that
  // Its policy requires test boots, and it has points; by when a test boot should have passed
  // again.
  std::optional<uint64_t> verify_by_ms;
  std::optional<uint64_t> last_passed_ms;
  std::string last_verdict;  // of its newest test boot: "inconclusive"; empty: it has none
};

struct StoreFacts {
  catalog::TenantName tenant;
  uint64_t free = 0;  // bytes
  uint64_t size = 0;  // bytes, of the file system
  // The result of the last check.
  uint64_t checked_ms = 0;
  uint64_t damaged_point_count = 0;
  uint64_t problem_count = 0;
  std::string first_problem;
};

struct Facts {
  std::vector<MachineFacts> machines;
  std::vector<HostFacts> hosts;
  std::vector<StoreFacts> stores;
  std::string clock_problem;  // of the appliance's own clock, a sentence; empty: it is trusted
};

constexpr uint64_t kSilentAfterMs = 3 * 60'000;
constexpr uint32_t kFailingAfter = 3;  // syncs in a row
constexpr uint64_t kFreeShare = 10;    // nearly full below 1/10

// A machine that should have a newer point but does not is always among them.
std::vector<Condition> conditions_of(const Facts& facts, uint64_t now_ms);

}  // namespace appliance::alerts
