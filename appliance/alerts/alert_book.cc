#include "appliance/alerts/alert_book.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/log.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::alerts {
namespace {

constexpr uint32_t kMaxOpen = 100'000;
constexpr std::chrono::seconds kHookPatience{30};

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

AlertBook::AlertBook(catalog::Catalog& catalog, AlertHook hook)
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
  using Key = std::tuple<std::string, std::string, std::string>;
  std::set<Key> wanted;
  std::map<Key, std::string> open;
  for (const catalog::Alert& alert : catalog_.alerts("", false, kMaxOpen)) {
    if (kinds.contains(alert.kind)) open[{alert.tenant, alert.kind, alert.subject}] = alert.message;
  }
  for (const Condition& condition : conditions) {
    Key key{condition.tenant, condition.kind, condition.subject};
    wanted.insert(key);
    auto found = open.find(key);
    if (found == open.end() || found->second != condition.message) raise(condition, now_ms);
  }
  for (const auto& [key, message] : open) {
    const auto& [tenant, kind, subject] = key;
    if (!wanted.contains(key)) clear({kind, tenant, subject, message}, now_ms);
  }
}

void run_hook(const HookSettings& settings, const catalog::Alert& alert, AlertChange change) {
  std::string state = change == AlertChange::opened ? "opened" : "closed";
  if (!settings.command.empty()) {
    base::run_checked({settings.command, alert.kind, state, alert.subject, alert.message},
                      kHookPatience);
  }
  if (settings.webhook.empty()) return;
  nlohmann::json body{{"kind", alert.kind},
                      {"state", state},
                      {"tenant", alert.tenant},
                      {"subject", alert.subject},
                      {"message", alert.message},
                      {"time", base::format_time_ms(alert.closed_ms.value_or(alert.opened_ms))}};
  base::run_checked(
      {"curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--header",
       "Content-Type: application/json", "--data-raw",
       body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "--", settings.webhook},
      kHookPatience);
}

}  // namespace appliance::alerts
