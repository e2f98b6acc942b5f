#include "appliance/audit/audit_service.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "images/store/place/layout.h"

namespace appliance::audit {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kDayMs = 24 * 3'600'000;

}  // namespace

std::string AuditService::file_of(const catalog::TenantName& tenant) {
  return images::layout::audit_file(stores_.directory_of(tenant), node_.hex());
}

std::vector<images::AuditAnchor> AuditService::read_anchors(const catalog::TenantName& tenant) {
  std::string path = file_of(tenant);
  if (!files_.exists(path)) return {};
  return images::format::decode_audit_anchors(
      base::read_file(files_, path, images::format::kMaxAuditAnchorsSize), node_.bytes);
}

// What is known already stays, also where it disagrees: an anchor with a higher number than the head's
// proves that entries are gone.
void AuditService::anchor_in(const catalog::TenantName& tenant, const AuditLog::Head& head) {
  auto writer = stores_.require_writable(tenant);  // keeps the store where it is
  std::vector<images::AuditAnchor> anchors = read_anchors(tenant);
  if (!anchors.empty() && anchors.back().sequence >= head.sequence) return;
  anchors.push_back({head.sequence, clock_.wall_ms(), head.hash});
  base::make_directory_durably(files_,
                               images::layout::audit_directory(stores_.directory_of(tenant)));
  base::write_file_durably(files_, file_of(tenant),
                           images::format::encode_audit_anchors(node_.bytes, anchors));
}

AuditService::Anchored AuditService::anchor() {
  auto writing = writing_.lock();
  Anchored result;
  AuditLog::Head head = log_.head();
  for (const catalog::Tenant& tenant : catalog_.tenants(access::TenantScope::all())) {
    try {
      anchor_in(tenant.name, head);
      result.tenants.push_back(tenant.name.text());
    } catch (const Error& error) {
      result.problems.push_back(
          fmt::format("the store of tenant {}: {}", tenant.name.text(), error.message()));
    }
  }
  return result;
}

ChainCheck AuditService::verify() {
  std::vector<Memory> memories;
  AuditLog::Head head = log_.head();
  memories.push_back({"this process", head.sequence, head.hash});
  std::string unreadable;
  for (const catalog::Tenant& tenant : catalog_.tenants(access::TenantScope::all())) {
    try {
      for (const images::AuditAnchor& anchor : read_anchors(tenant.name))
        memories.push_back({fmt::format("the store of tenant {} on {}", tenant.name.text(),
                                        base::format_time_ms(anchor.time_ms)),
                            anchor.sequence, anchor.hash});
    } catch (const Error& error) {
      unreadable = fmt::format("the anchors in the store of tenant {} cannot be read: {}",
                               tenant.name.text(), error.message());
    }
  }
  ChainCheck check = check_chain(log_.records(), std::move(memories));
  if (check.good()) check.problem = unreadable;
  state_.lock()->problem = check.problem;
  return check;
}

void AuditService::round() {
  log_.round();
  uint64_t day = clock_.wall_ms() / kDayMs, steady_ms = clock_.steady_ms();
  {
    auto state = state_.lock();
    bool is_time = !state->has_run || day != state->day || steady_ms - state->steady_ms >= kDayMs;
    if (!is_time) return;
    state->has_run = true;
    state->day = day;
    state->steady_ms = steady_ms;
  }
  // First compared, so that what was changed before is said before it is anchored as if it were good.
  ChainCheck check = verify();
  if (!check.good()) base::log().error("the audit log: {}", check.problem);
  for (const std::string& problem : anchor().problems)
    base::log().warn("the audit log is not anchored in {}", problem);
}

std::vector<alerts::Condition> AuditService::conditions() {
  std::vector<alerts::Condition> found;
  auto add = [&](const char* subject, const std::string& message) {
    found.push_back(
        {alerts::kAuditBroken, access::TenantName(access::kDefaultTenant), subject, message});
  };
  std::string unwritable = log_.problem();
  if (!unwritable.empty())
    add("writing", "the audit log cannot be written, so changes are refused: " + unwritable);
  std::string problem = state_.lock()->problem;
  if (!problem.empty()) add("entries", problem);
  return found;
}

}  // namespace appliance::audit
