// What people say about verdicts, and what that teaches: corrections of test boots, and the texts
// that mean "up" or "down" for one machine alone. Times are milliseconds since 1970 in UTC. Errors
// and durability: catalog.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/tenant_scope.h"

namespace appliance::catalog {

// A person's word about one test boot. The test boot's own `verdict` and `reasons` are then those
// of the person, so that every list, report and alert follows it; what was judged stands here.
struct Correction {
  std::string verdict;       // "pass" or "fail"
  std::string reason;        // the person's words
  std::string corrected_by;  // as access::Requester
  uint64_t corrected_ms = 0;
  std::string given_verdict;  // by the appliance, before the first correction
  std::string given_reasons;  // JSON, as Verification::reasons
};

// A text that means something for one machine (verify/taught_text.h).
struct TaughtRule {
  int64_t number = 0;  // 1, 2, 3, …, of all machines
  std::string machine_name;
  int64_t verification = 0;      // the test boot that it was taken from, which may be gone
  bool means_up = true;          // otherwise: down
  std::string lines = "[]";      // JSON: an array of normalised lines
  std::string tolerated = "[]";  // JSON: lines of trouble that no longer count as trouble
  std::string reason;
  std::string taught_by;  // as access::Requester
  uint64_t taught_ms = 0;
};

class CorrectionRecords {
 public:
  // More would make reading a screen slow, and nobody would know them any more.
  static constexpr size_t kRulesPerMachine = 20;

  virtual ~CorrectionRecords() = default;

  // Records the correction, and makes its verdict and `reasons` those of the test boot. What an
  // earlier correction of it taught is forgotten; `rules` has at most one rule, which is taught (its
  // number is chosen here). `given_verdict` and `given_reasons` are taken from the test boot.
  // Returns the rule's number, or 0. Throws not_found; busy for a test boot that is still being
  // observed, or for a machine with kRulesPerMachine rules; invalid_argument for one that is no
  // longer among its machine's newest (VerificationRecords::kFullTestBootsKept).
  virtual int64_t correct_verification(const access::TenantScope& scope, int64_t number,
                                       const Correction& correction, const std::string& reasons,
                                       const std::vector<TaughtRule>& rules) = 0;
  // Puts the verdict back that was given, and forgets what the correction taught. Throws not_found
  // if there is no such test boot, or it was not corrected.
  virtual void withdraw_correction(const access::TenantScope& scope, int64_t number) = 0;

  // Newest first.
  virtual std::vector<TaughtRule> taught_rules(const access::TenantName& tenant,
                                               std::string_view machine_name) = 0;
  // Throws not_found.
  virtual void forget_rule(const access::TenantName& tenant, std::string_view machine_name,
                           int64_t number) = 0;
};

}  // namespace appliance::catalog
