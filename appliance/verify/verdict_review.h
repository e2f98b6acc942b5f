// What a person does with a verdict afterwards: has it explained, corrects it, which teaches the
// machine's next test boots, and exports it as a case. Works on what the catalog kept of a machine's
// last 100 test boots (catalog::VerificationRecords::kFullTestBootsKept). Thread-safe: it keeps nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "appliance/verify/verdict_case.h"

namespace appliance::verify {

struct Explanation {
  catalog::Verification seen;
  std::optional<Judging> judging;  // none if it is no longer, or was never, kept
  // Judged again from what was kept, by the rules of this program; `decided_by` refers to
  // `judging`'s observations.
  std::optional<Verdict> again;
};

struct CorrectionOrder {
  VerdictKind verdict = VerdictKind::pass;  // pass or fail
  std::string reason;
  bool teach = true;
  bool outvote_trouble = false;  // also the kernel's own words of trouble on the screen
  std::string only_text;         // teach only lines that contain this
};

// What came of a correction.
struct CorrectionResult {
  catalog::Verification seen;  // as it is now
  std::optional<catalog::TaughtRule> taught;
  std::string note;  // why nothing was taught, or what the lesson cannot change; may be empty
};

struct ExportedCase {
  VerdictCase seen;
  std::vector<Anonymizer::Replacement> replacements;
  std::string note;  // if the case is judged otherwise than the test boot was; may be empty
};

class VerdictReview {
 public:
  explicit VerdictReview(catalog::Catalog& catalog) : catalog_(catalog) {}

  // All throw not_found for a test boot that is not in the scope.
  Explanation explain(const access::TenantScope& scope, int64_t number);
  // `corrected_by` is as access::Requester. Throws invalid_argument for a missing or long reason, an inconclusive verdict, a text that was
  // not on a console, or an old test boot; busy: see CorrectionRecords::correct_verification.
  CorrectionResult correct(const access::TenantScope& scope, int64_t number,
                           const CorrectionOrder& order, const std::string& corrected_by);
  // Throws invalid_argument for a test boot of which not enough is kept.
  ExportedCase export_case(const access::TenantScope& scope, int64_t number);

  static constexpr size_t kMaxReason = 500;  // bytes

 private:
  std::vector<TaughtText> lesson_of_test_boot(const catalog::Verification& seen);
  std::vector<std::string> known_names(const catalog::Verification& seen);

  catalog::Catalog& catalog_;
};

}  // namespace appliance::verify
