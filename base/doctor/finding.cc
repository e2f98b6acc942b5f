#include "base/doctor/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clean_text.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/text.h"

namespace base::doctor {
namespace {

constexpr auto kNames = enum_names<Outcome>("an outcome", {{Outcome::ok, "ok"},
                                                           {Outcome::warn, "warn"},
                                                           {Outcome::fail, "fail"},
                                                           {Outcome::unknown, "unknown"}});

constexpr size_t kMaxText = 600;  // bytes of a part of a line

std::vector<Finding> unknown(const std::string& subject, const std::string& why) {
  return {{Outcome::unknown, subject, "could not be checked: " + why, ""}};
}

std::vector<Finding> made(const Check& check) {
  try {
    std::vector<Finding> found = check.look();
    return found.empty() ? unknown(check.subject, "the check found nothing to say") : found;
  } catch (const std::exception& error) {
    return unknown(check.subject, error.what());
  }
}

// On a thread of its own, which is abandoned if it does not return.
std::vector<Finding> made_within(const Check& check, std::chrono::milliseconds patience) {
  auto promise = std::make_shared<std::promise<std::vector<Finding>>>();
  std::future<std::vector<Finding>> result = promise->get_future();
  std::thread([promise, check] { promise->set_value(made(check)); }).detach();
  if (result.wait_for(patience) == std::future_status::ready) return result.get();
  return unknown(check.subject,
                 fmt::format("it did not end within {}",
                             format_duration_ms(static_cast<uint64_t>(patience.count()))));
}

}  // namespace

std::string_view outcome_name(Outcome outcome) { return kNames.name(outcome); }

std::vector<Finding> examine(const std::vector<Check>& checks, std::chrono::milliseconds patience,
                             const std::function<void(const Finding&)>& on_finding) {
  std::vector<Finding> all;
  for (const Check& check : checks) {
    for (Finding& finding : made_within(check, patience)) {
      on_finding(finding);
      all.push_back(std::move(finding));
    }
  }
  return all;
}

std::string finding_text(const Finding& finding) {
  std::string text =
      fmt::format("{:<8} {}: {}", outcome_name(finding.outcome),
                  clean_text(finding.subject, kMaxText), clean_text(finding.found, kMaxText));
  if (!finding.remedy.empty())
    text += fmt::format("\n         {}", clean_text(finding.remedy, kMaxText));
  return text;
}

nlohmann::json findings_json(const std::vector<Finding>& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    list.push_back(
        {{"outcome", outcome_name(finding.outcome)},
         {"subject", finding.subject},
         {"found", finding.found},
         {"remedy", finding.remedy.empty() ? nlohmann::json() : nlohmann::json(finding.remedy)}});
  }
  return {{"healthy", exit_code_of(findings) == 0}, {"findings", list}};
}

int exit_code_of(const std::vector<Finding>& findings) {
  bool bad = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.outcome == Outcome::fail || finding.outcome == Outcome::unknown;
  });
  return bad ? 1 : 0;
}

}  // namespace base::doctor
