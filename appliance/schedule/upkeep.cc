#include "appliance/schedule/upkeep.h"

#include <algorithm>
#include <exception>

#include "appliance/schedule/compaction.h"
#include "appliance/schedule/store_check.h"
#include "base/error.h"

namespace appliance::schedule {
namespace {

constexpr uint64_t kDayMs = 24 * 3'600'000;

uint64_t ago(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

}  // namespace

void StoreUpkeep::round(uint64_t now_ms) {
  std::exception_ptr trouble;
  for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
    try {
      keep_up(tenant, now_ms);
    } catch (...) {
      if (!trouble) trouble = std::current_exception();
    }
  }
  if (trouble) std::rethrow_exception(trouble);
}

// Stores are checked one after the other: each check reads everything.
void StoreUpkeep::keep_up(const catalog::Tenant& tenant, uint64_t now_ms) {
  Upkeep& last = upkeep_[tenant.name];
  if (is_due(last.compacted_ms, tenant, "compact", kCompactEveryMs, now_ms)) {
    submit_compaction(jobs_, stores_, tenant.name, access::Requester::schedule());
    last.compacted_ms = now_ms;
  }
  if (is_due(last.checked_ms, tenant, "check", kCheckEveryMs, now_ms) && !is_check_under_way()) {
    submit_store_check(jobs_, stores_, catalog_,
                       {.tenant = tenant.name,
                        .requested_by = access::Requester::schedule(),
                        .in_background = true});
    last.checked_ms = now_ms;
  }
}

// This long after the last one, whoever requested it, or after the tenant was created. One that was
// interrupted or cancelled is repeated after a day.
bool StoreUpkeep::is_due(uint64_t& last_ms, const catalog::Tenant& tenant, const char* kind,
                         uint64_t every_ms, uint64_t now_ms) {
  if (last_ms > now_ms) last_ms = 0;
  if (tenant.created_ms <= now_ms) last_ms = std::max(last_ms, tenant.created_ms);
  if (now_ms < last_ms + every_ms) return false;
  catalog::JobFilter newest{
      .scope = catalog::TenantScope::all(), .kind = kind, .subject = tenant.name, .limit = 1};
  for (const catalog::Job& job : catalog_.jobs(newest)) {
    if (job.created_ms > now_ms) continue;
    bool was_cut_off =
        job.state == catalog::JobState::cancelled ||
        (job.state == catalog::JobState::failed && job.error_code != base::ErrorCode::corrupt);
    uint64_t counts_from_ms = ago(job.created_ms, was_cut_off ? every_ms - kDayMs : 0);
    last_ms = std::max(last_ms, counts_from_ms);
  }
  return now_ms >= last_ms + every_ms && !catalog_.machines(tenant.name).empty();
}

bool StoreUpkeep::is_check_under_way() {
  for (auto state : {catalog::JobState::queued, catalog::JobState::running}) {
    catalog::JobFilter one{
        .scope = catalog::TenantScope::all(), .state = state, .kind = "check", .limit = 1};
    if (!catalog_.jobs(one).empty()) return true;
  }
  return false;
}

}  // namespace appliance::schedule
