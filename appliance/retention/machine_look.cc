#include "appliance/retention/machine_look.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "appliance/boot/point_uses.h"
#include "appliance/policy/policy.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::retention {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kFreeShare = 10;  // a store is nearly full below 1/10

// Unlike the scheduler's, which falls back to the default policy: no point is deleted by a rule
// that was not assigned to its machine. Throws not_found, invalid_argument.
policy::PolicyText policy_of(catalog::Catalog& catalog, const catalog::Protection& protection) {
  std::string wanted =
      protection.policy.empty() ? std::string(policy::kDefaultPolicy) : protection.policy;
  for (const auto& [name, body] : catalog.policies(protection.tenant)) {
    if (name != wanted) continue;
    policy::PolicyText text = policy::policy_from_json(name, body);
    policy::parse_retention(text.keep);
    policy::TimeZone(text.timezone);
    return text;
  }
  if (wanted != policy::kDefaultPolicy)
    throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", wanted));
  policy::PolicyText text;
  text.name = wanted;
  return text;
}

bool is_nearly_full(const std::string& directory) {
  std::error_code problem;
  auto space = std::filesystem::space(directory, problem);
  return !problem && space.capacity > 0 && space.available < space.capacity / kFreeShare;
}

std::string beyond_of(const MachinePlan& plan, bool nearly_full) {
  size_t beyond = 0, bad = 0;
  for (size_t i = 0; i < plan.decisions.size(); ++i) {
    const Decision& each = plan.decisions[i];
    bad += each.is_good ? 0 : 1;
    if (!each.stays || each.is_by_rule || i == 0) continue;
    ++beyond;
    bool is_last_proof =
        std::find(each.reasons.begin(), each.reasons.end(), kNewestPassed) != each.reasons.end();
    if (is_last_proof && bad > 0) {
      return fmt::format(
          "the newest point of '{0}' that passed its test boot is of {1}, older than "
          "what its policy keeps, and newer ones failed or are damaged; it is kept "
          "until a newer one passes: muletto verify start {0}@latest",
          plan.machine, base::format_time_ms(static_cast<uint64_t>(each.time_ms)));
    }
  }
  if (beyond == 0 || !nearly_full) return "";
  return fmt::format(
      "the store is nearly full, and {} of '{}' are kept though no rule keeps "
      "them: muletto policy preview --machine {} says why",
      base::format_count(beyond, "point"), plan.machine, plan.machine);
}

}  // namespace

Surroundings complete(Surroundings surroundings) {
  if (!surroundings.now_ms) surroundings.now_ms = base::now_ms;
  if (!surroundings.steady_ms) surroundings.steady_ms = base::steady_ms;
  if (!surroundings.clock_problem) surroundings.clock_problem = [] { return std::string(); };
  return surroundings;
}

MachinePlan MachineLook::now(const catalog::Protection& protection) const {
  MachinePlan plan;
  plan.tenant = protection.tenant;
  plan.machine = protection.machine;
  catalog::RetentionMark mark = catalog_.retention_mark(plan.tenant, plan.machine);
  plan.grace = {mark.applied, mark.wanted, mark.wanted_since_ms};
  policy::PolicyText text;
  try {
    text = policy_of(catalog_, protection);
    plan.policy = text.name;
    plan.keep = text.keep;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::invalid_argument) throw;
    plan.policy = protection.policy;
    plan.keep = "all";
    plan.held =
        fmt::format("its policy cannot be applied, so everything is kept: {}", error.message());
    plan.is_held_back = protection.wanted;
  }
  if (!protection.wanted) {
    plan.keep = "all";
    plan.held = "it is not protected, so everything is kept: muletto machine protect";
    plan.grace = {};  // when it is protected again, another rule may be intended
  }
  decide(plan, text.timezone);
  if (plan.held.empty()) wait_for_grace(plan);
  return plan;
}

MachinePlan MachineLook::under(const catalog::Protection& protection,
                               const std::string& keep) const {
  MachinePlan plan;
  plan.tenant = protection.tenant;
  plan.machine = protection.machine;
  policy::PolicyText text = policy_of(catalog_, protection);
  plan.policy = text.name;
  plan.keep = keep;
  decide(plan, text.timezone);
  return plan;
}

void MachineLook::decide(MachinePlan& plan, const std::string& timezone) const {
  policy::Retention rule = policy::parse_retention(plan.keep);
  policy::TimeZone zone(timezone);
  plan.rule = fmt::format("{} in {}", plan.keep, timezone);
  plan.decisions = retention::plan(candidates(plan), rule, zone);
  plan.going = count_going(plan.decisions);
  if (!rule.keeps_all())
    plan.beyond = beyond_of(plan, is_nearly_full(stores_.directory_of(plan.tenant)));
  std::string clock = around_.clock_problem();
  if (clock.empty()) return;
  plan.held = "nothing is removed while the appliance's clock is not trusted: " + clock;
  plan.is_held_back = plan.going > 0;
}

std::vector<Candidate> MachineLook::candidates(MachinePlan& plan) const {
  auto holds = catalog_.holds(plan.tenant, around_.now_ms());
  auto verdicts = catalog_.test_verdicts(plan.tenant, plan.machine);
  boot::PointUses uses = boot::point_uses(around_.state_directory);
  std::vector<Candidate> candidates;
  for (const catalog::PointRow& row : catalog_.points(plan.tenant, plan.machine)) {
    Candidate candidate;
    candidate.id = row.summary.id;
    candidate.time_ms = static_cast<int64_t>(row.summary.time_ms);
    candidate.order = row.summary.dates.order;
    candidate.is_dated_ahead =
        images::is_dated_ahead(row.summary.time_ms, row.summary.dates, around_.now_ms());
    candidate.is_damaged = row.damage_found_ms.has_value();
    if (auto verdict = verdicts.find(candidate.id); verdict != verdicts.end())
      candidate.verdict = verdict->second == "pass" ? TestVerdict::passed : TestVerdict::failed;
    if (auto hold = holds.find(candidate.id); hold != holds.end())
      candidate.held = hold->second.reason.empty() ? "by an operator" : hold->second.reason;
    if (auto use = uses.by_point.find(candidate.id); use != uses.by_point.end())
      candidate.use = use->second;
    candidates.push_back(std::move(candidate));
  }
  if (!uses.unreadable.empty() && plan.held.empty()) {
    plan.held = uses.unreadable.front();
    plan.is_held_back = !candidates.empty();
  }
  return candidates;
}

void MachineLook::wait_for_grace(MachinePlan& plan) const {
  plan.grace =
      look_at_rule(plan.grace, plan.rule, plan.decisions.size(), plan.going, around_.now_ms());
  if (plan.grace.applied == plan.rule) return;
  plan.waits_until_ms = plan.grace.wanted_since_ms + kGraceMs;
  plan.is_held_back = true;
  plan.held = fmt::format(
      "'{0}' of the policy '{1}' is a new rule for '{2}', and would remove {3} of "
      "{4}; it applies from {5} on, or at once with: muletto policy apply "
      "--machine {2} --now",
      plan.keep, plan.policy, plan.machine, plan.going,
      base::format_count(plan.decisions.size(), "point"),
      base::format_time_ms(*plan.waits_until_ms));
}

}  // namespace appliance::retention
