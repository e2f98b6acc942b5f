// What `muletto doctor` and `muletto-agent doctor` say: findings about this machine, each with the
// command that mends it, and how checks are run so that none can hide another.
//
// A check that could not be made is `unknown`, never `ok`: one that throws, one that a program or a
// file is missing for, and one that does not return (a dead disk, a libvirt that hangs), which is left
// behind on its thread. examine() is called once, by a program that ends soon after it.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace base::doctor {

enum class Outcome {
  ok,
  warn,     // works, but not as well or not as long as it should
  fail,     // something that a machine or a recovery needs does not work
  unknown,  // could not be checked; `found` says why
};

std::string_view outcome_name(Outcome outcome);  // "ok", "warn", "fail", "unknown"

struct Finding {
  Outcome outcome = Outcome::unknown;
  std::string subject;  // "KVM", "free space"
  std::string found;    // a sentence without full stop
  std::string remedy;   // a command or what else to do; empty if there is nothing to do
};

struct Check {
  std::string subject;
  std::function<std::vector<Finding>()> look;  // owns or copies what it uses
};

// Makes the checks in their order; each finding is told to `on_finding` as soon as it is known. A check
// that returns nothing is itself a finding: unknown. Returns all of them.
std::vector<Finding> examine(const std::vector<Check>& checks, std::chrono::milliseconds patience,
                             const std::function<void(const Finding&)>& on_finding);

// "ok       KVM: a trial guest ran" with the remedy, if any, on a line of its own. Control characters
// are shown as spaces.
std::string finding_text(const Finding& finding);
// {"healthy", "findings": [{"outcome", "subject", "found", "remedy"}]}
nlohmann::json findings_json(const std::vector<Finding>& findings);
// 1 if anything failed or could not be checked, 0 otherwise.
int exit_code_of(const std::vector<Finding>& findings);

}  // namespace base::doctor
