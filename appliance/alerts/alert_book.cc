#include "appliance/alerts/alert_book.h"

#include <exception>
#include <tuple>

#include "base/clock.h"
#include "base/log.h"

namespace appliance::alerts {
namespace {

constexpr uint32_t kMaxOpen = 100'000;
// How exactly the catalog knows when an open alert was last seen.
constexpr uint64_t kSeenEvery_ms = 600'000;

catalog::Alert alert_of(const Condition& condition, uint64_t now_ms) {
  catalog::Alert alert;
  alert.tenant = condition.tenant;
  alert.kind = condition.kind;
  alert.subject = condition.subject;
  alert.message = condition.message;
  alert.opened_ms = now_ms;
  return alert;
}

}  // namespace

AlertBook::AlertBook(catalog::AlertRecords& catalog, AlertHook hook)
    : catalog_(catalog), hook_(std::move(hook)) {}

void AlertBook::raise(const Condition& condition, uint64_t now_ms) {
  catalog::Alert alert = alert_of(condition, now_ms);
  if (!catalog_.open_alert(alert)) return;
  base::log().warn("alert ({}): {}", alert.kind, alert.message);
  if (hook_) hook_(alert, AlertChange::opened);
}

void AlertBook::clear(const Condition& condition, uint64_t now_ms) {
  if (!catalog_.close_alert(condition.tenant, condition.kind, condition.subject, now_ms)) return;
  base::log().info("alert closed ({}): {}", condition.kind, condition.subject);
  catalog::Alert alert = alert_of(condition, now_ms);
  alert.closed_ms = now_ms;
  if (hook_) hook_(alert, AlertChange::closed);
}

void AlertBook::settle(const std::set<std::string>& kinds, const std::vector<Condition>& conditions,
                       uint64_t now_ms) {
  using Key = std::tuple<catalog::TenantName, std::string, std::string>;
  std::set<Key> wanted;
  std::map<Key, catalog::Alert> open;
  for (const catalog::Alert& alert :
       catalog_.alerts(catalog::TenantScope::all(), false, kMaxOpen)) {
    if (kinds.contains(alert.kind)) open[{alert.tenant, alert.kind, alert.subject}] = alert;
  }
  // If one cannot be recorded (its tenant has just been removed), the others still must be.
  std::exception_ptr trouble;
  auto guarded = [&](const std::function<void()>& action) {
    try {
      action();
    } catch (...) {
      if (!trouble) trouble = std::current_exception();
    }
  };
  for (const Condition& condition : conditions) {
    Key key{condition.tenant, condition.kind, condition.subject};
    wanted.insert(key);
    auto found = open.find(key);
    if (found == open.end() || found->second.message != condition.message ||
        base::has_passed(found->second.last_ms, kSeenEvery_ms, now_ms))
      guarded([&] { raise(condition, now_ms); });
  }
  for (const auto& [key, alert] : open) {
    if (wanted.contains(key)) continue;
    guarded([&, &each = key, &words = alert.message] {
      const auto& [tenant, kind, subject] = each;
      clear({kind, tenant, subject, words}, now_ms);
    });
  }
  if (trouble) std::rethrow_exception(trouble);
}

}  // namespace appliance::alerts
