// Judged test boots as the catalog keeps them, and what machines must show in one. Times are
// milliseconds since 1970 in UTC. Errors and durability: catalog.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/tenant_scope.h"
#include "appliance/catalog/correction_records.h"
#include "base/bytes.h"
#include "images/ids.h"

namespace appliance::catalog {

using access::TenantName;
using access::TenantScope;

struct Verification {
  int64_t number = 0;  // 1, 2, 3, …
  TenantName tenant;
  std::string machine_name;
  images::PointId point;
  uint64_t point_time_ms = 0;  // when it was received
  uint64_t point_order = 0;    // on its machine's timeline (images::PointDates)
  std::string why;             // "order", "sync", "nightly", "bisect"
  std::string verdict;         // "pass", "fail", "inconclusive"; a correction has replaced it
  std::string reasons;         // JSON: an array of sentences, the decisive one first
  std::string checks;          // JSON: an array of what answered, "agent", "tcp:22", …
  std::string evidence;        // JSON: an array of what was observed, in the order it was learned
  std::string serial;          // the end of the serial console's log
  // JSON: what the verdict was judged by besides the evidence (verify/judging.h). Empty if an older
  // version judged it, or if it is no longer among its machine's newest.
  std::string judging;
  std::optional<uint64_t> recovery_ms;  // from the order until everything required answered
  uint64_t started_ms = 0;
  uint64_t begun_steady_ms = 0;  // started_ms by the steady clock; not kept
  uint64_t duration_ms = 0;
  // Since QEMU was started: when the decisive signal was seen (nothing if the verdict rests on the
  // absence of signals), and when the verdict was given.
  std::optional<uint64_t> decisive_ms;
  uint64_t judged_ms = 0;
  bool settled = true;  // false: a pass that is still being observed, and may be revoked
  uint32_t picture_count = 0;
  std::optional<Correction> correction;  // a person's; changed only by CorrectionRecords
};

// What the machine must show in a test boot, besides being up.
struct MachineChecks {
  std::string asked = "[]";    // JSON: an array of checks that operators require
  uint64_t learn_from_ms = 0;  // test boots before this time teach nothing
};

// How long one passed test boot took, without its evidence.
struct RecoveryTime {
  uint64_t started_ms = 0;
  uint64_t recovery_ms = 0;
};

struct VerdictCounts {
  size_t all = 0;
  size_t passed = 0;
};

// The result of the newest tested point of a machine.
struct NewestVerdict {
  std::string verdict;
  std::string reason;  // the decisive one; may be empty
  uint64_t point_time_ms = 0;
  uint64_t started_ms = 0;
};

struct VerificationPicture {
  uint64_t at_ms = 0;  // since QEMU was started
  std::string text;    // what was recognised on it
  base::Bytes png;
};

class VerificationRecords {
 public:
  // A machine's newest test boots are kept in full; older ones without pictures, evidence and
  // serial log, and not forever.
  static constexpr int64_t kFullTestBootsKept = 100;
  static constexpr std::chrono::hours kTestBootRetention{400 * 24};
  // For all pictures of one machine: a guest may show noise, which does not compress. Pictures of
  // older test boots are removed first.
  static constexpr int64_t kPicturesSize = 64ll << 20;  // bytes

  virtual ~VerificationRecords() = default;

  // Returns its number. Thins out what is no longer among the newest of the same machine.
  virtual int64_t add_verification(const Verification& seen,
                                   const std::vector<VerificationPicture>& pictures) = 0;
  // Replaces everything of the test boot with this number, which is not settled yet.
  virtual void replace_verification(const Verification& seen,
                                    const std::vector<VerificationPicture>& pictures) = 0;
  // Those that began before that time, are not among their machine's newest, and whose point no
  // longer exists.
  virtual void forget_test_boots(uint64_t before_ms) = 0;

  virtual Verification verification(const TenantScope& scope,
                                    int64_t number) = 0;  // throws not_found
  virtual std::vector<VerificationPicture> verification_pictures(int64_t number) = 0;
  // Newest first; of one machine, or of all if it is empty.
  virtual std::vector<Verification> verifications(const TenantScope& scope,
                                                  std::string_view machine_name,
                                                  uint32_t limit) = 0;

  // Of passes, newest first.
  virtual std::vector<RecoveryTime> recovery_times(const TenantName& tenant,
                                                   std::string_view machine_name,
                                                   uint32_t limit) = 0;
  // Of the newest point among those whose test was completed.
  virtual std::optional<NewestVerdict> newest_verdict(const TenantName& tenant,
                                                      std::string_view machine_name) = 0;
  // For each point whose test was completed, the result of the newest test: "pass" or "fail".
  virtual std::map<images::PointId, std::string> test_verdicts(const TenantName& tenant,
                                                               std::string_view machine_name) = 0;
  // When the newest passed test boot of the machine began.
  virtual std::optional<uint64_t> last_passed_ms(const TenantName& tenant,
                                                 std::string_view machine_name) = 0;
  // Of those that began in [from_ms, to_ms).
  virtual VerdictCounts verdict_counts(const TenantName& tenant, std::string_view machine_name,
                                       uint64_t from_ms, uint64_t to_ms) = 0;
  // The newest completed one among them.
  virtual std::optional<Verification> last_verification(const TenantName& tenant,
                                                        std::string_view machine_name,
                                                        uint64_t from_ms, uint64_t to_ms) = 0;

  virtual MachineChecks machine_checks(const TenantName& tenant, std::string_view machine_name) = 0;
  virtual void set_machine_checks(const TenantName& tenant, std::string_view machine_name,
                                  const MachineChecks& checks) = 0;
};

}  // namespace appliance::catalog
