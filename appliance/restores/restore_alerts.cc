#include "appliance/restores/restore_alerts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "appliance/restores/restore_figures.h"

namespace appliance::restores {
namespace {

using catalog::Job;
using catalog::JobState;

constexpr uint32_t kMaxMissed =
    1000;  // jobs of each kind that are looked at when the daemon starts
constexpr uint32_t kMaxAlerts = 10'000;

alerts::Condition condition_of(const Job& job) {
  std::string target = describe_target(restore_figures(job).target);
  return {alerts::kRestoreFailed, job.tenant, fmt::format("{} to {}", job.subject, target),
          fmt::format("the restore {} of '{}' to {} failed: {}", job.id.number, job.subject, target,
                      job.error_message)};
}

// Whether its end opens or closes an alert.
bool counts(const Job& job) {
  bool has_outcome = job.state == JobState::succeeded || job.state == JobState::failed;
  return is_restore(job) && has_outcome && !restore_figures(job).is_survey;
}

}  // namespace

void RestoreAlerts::ended(const Job& job) {
  if (counts(job)) state_.lock()->waiting.push_back(job);
}

// Those that were acknowledged since they ended have been heard; so has a failure before a success.
std::vector<Job> RestoreAlerts::missed() {
  using Key = std::pair<catalog::TenantName, std::string>;
  std::map<Key, Job> newest;
  for (std::string_view kind : kRestoreKinds) {
    catalog::JobFilter filter{.scope = catalog::TenantScope::all()};
    filter.kind = kind;
    filter.limit = kMaxMissed;
    for (Job& job : jobs_.jobs(filter)) {
      if (counts(job)) newest.emplace(Key{job.tenant, condition_of(job).subject}, std::move(job));
    }
  }
  for (const catalog::Alert& alert :
       alerts_.alerts(catalog::TenantScope::all(), true, kMaxAlerts)) {
    if (alert.kind != alerts::kRestoreFailed || !alert.acknowledged_ms) continue;
    auto job = newest.find({alert.tenant, alert.subject});
    bool is_heard = job != newest.end() && job->second.state == JobState::failed &&
                    *alert.acknowledged_ms >= job->second.ended_ms.value_or(0);
    if (is_heard) newest.erase(job);
  }
  std::vector<Job> jobs;
  for (auto& [key, job] : newest) jobs.push_back(std::move(job));
  return jobs;
}

void RestoreAlerts::close_acknowledged(alerts::AlertBook& book, uint64_t now_ms) {
  for (const catalog::Alert& alert :
       alerts_.alerts(catalog::TenantScope::all(), false, kMaxAlerts)) {
    if (alert.kind == alerts::kRestoreFailed && alert.acknowledged_ms)
      book.clear({alert.kind, alert.tenant, alert.subject, alert.message}, now_ms);
  }
}

void RestoreAlerts::round(alerts::AlertBook& book, uint64_t now_ms) {
  // First: an acknowledgement is for the failures until then.
  close_acknowledged(book, now_ms);
  std::vector<Job> jobs;
  bool has_caught_up = state_.lock()->has_caught_up;
  if (!has_caught_up) jobs = missed();
  {
    auto state = state_.lock();
    state->has_caught_up = true;
    for (Job& job : state->waiting) jobs.push_back(std::move(job));
    state->waiting.clear();
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
    return a.ended_ms.value_or(0) < b.ended_ms.value_or(0);
  });
  for (auto job = jobs.begin(); job != jobs.end(); ++job) {
    try {
      if (job->state == JobState::failed) book.raise(condition_of(*job), now_ms);
      else book.clear(condition_of(*job), now_ms);
    } catch (...) {
      auto state = state_.lock();
      state->waiting.insert(state->waiting.begin(), job, jobs.end());
      throw;
    }
  }
}

}  // namespace appliance::restores
