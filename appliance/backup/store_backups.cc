#include "appliance/backup/store_backups.h"

#include <fmt/format.h>

#include "appliance/backup/backups_in_store.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "images/store/place/open_place.h"

namespace appliance::backup {
namespace {

using catalog::TenantName;
using catalog::TenantScope;

constexpr uint64_t kLookEveryMs = 5000;

std::string time_fact(const TenantName& tenant) { return "backup time of " + tenant.text(); }
std::string digest_fact(const TenantName& tenant) { return "backup content of " + tenant.text(); }

uint64_t number_of(const std::optional<std::string>& fact) {
  uint64_t number = 0;
  if (!fact || fact->size() > 15) return 0;
  for (char digit : *fact) {
    if (digit < '0' || digit > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(digit - '0');
  }
  return number;
}

}  // namespace

StoreBackups::StoreBackups(const Config& config, std::string settings_path,
                           catalog::Catalog& catalog, stores::TenantStores& stores,
                           const base::Clock& clock)
    : config_(config), settings_path_(std::move(settings_path)), catalog_(catalog), stores_(stores),
      clock_(clock) {}

// Of what people have set up. What changes by itself (when a host was seen, jobs, points) is left out:
// it would make a backup every minute.
std::string StoreBackups::digest_of_settings() {
  base::Sha256Stream digest;
  auto add = [&](const std::string& text) {
    digest.update(base::as_bytes(fmt::format("{}:{}", text.size(), text)));
  };
  const TenantScope all = TenantScope::all();
  for (const catalog::Tenant& tenant : catalog_.tenants(all)) {
    add(tenant.name.text());
    add(std::to_string(catalog_.tenant_quota(tenant.name).value_or(0)));
    if (auto store = catalog_.find_store(tenant.name))
      add(store->directory + (store->id ? store->id->hex() : ""));
    for (const auto& [name, body] : catalog_.policies(tenant.name)) {
      add(name);
      add(body);
    }
    for (const catalog::Protection& each : catalog_.protections(tenant.name))
      add(fmt::format("{} {} {}", each.machine, each.wanted, each.policy));
  }
  for (const catalog::Host& host : catalog_.hosts(all))
    add(fmt::format("{} {} {} {}", host.id.hex(), host.name, host.certificate_serial,
                    host.revoked));
  for (const catalog::Token& token : catalog_.tokens(all)) add(token.id.hex());
  return base::to_hex(digest.finish());
}

bool StoreBackups::is_due(const TenantName& tenant, const std::string& digest, bool is_settled) {
  auto attempts = attempts_.lock();
  if (auto last = attempts->find(tenant.text()); last != attempts->end()) {
    const Attempt& attempt = last->second;
    if (!attempt.problem.empty() && clock_.steady_ms() - attempt.steady_ms < kRetryMs) return false;
  }
  auto time = catalog_.find_fact(time_fact(tenant));
  if (!time || base::has_passed(number_of(time), kEveryMs, clock_.wall_ms())) return true;
  return is_settled && catalog_.find_fact(digest_fact(tenant)).value_or("") != digest;
}

void StoreBackups::round() {
  uint64_t now = clock_.steady_ms();
  if (looked_ms_ != 0 && now - looked_ms_ < kLookEveryMs) return;
  looked_ms_ = now;
  std::string digest = digest_of_settings();
  if (digest != seen_digest_) {
    seen_digest_ = digest;
    seen_ms_ = now;
  }
  bool is_settled = now - seen_ms_ >= kSettleMs;
  std::vector<TenantName> due;
  for (const catalog::Tenant& tenant : catalog_.tenants(TenantScope::all())) {
    // Its store is made with it; one that is away has an alert of its own, and gets its backup later.
    if (is_due(tenant.name, digest, is_settled)) due.push_back(tenant.name);
  }
  if (!due.empty()) back_up(due, digest);
}

void StoreBackups::back_up(const std::vector<TenantName>& tenants, const std::string& digest) {
  Backup backup = collect_backup(config_, settings_path_, StoreKeysIn::left_out);
  for (const TenantName& tenant : tenants) {
    Attempt attempt{clock_.steady_ms(), ""};
    try {
      put(tenant, backup);
      catalog_.save_fact(time_fact(tenant), std::to_string(clock_.wall_ms()));
      catalog_.save_fact(digest_fact(tenant), digest);
      base::log().info("the appliance's catalog and keys are backed up into the store of tenant {}",
                       tenant.text());
    } catch (const base::Error& error) {
      attempt.problem = error.message();
      base::log().warn("the store of tenant {} gets no backup of the appliance: {}", tenant.text(),
                       error.message());
    }
    (*attempts_.lock())[tenant.text()] = attempt;
  }
}

void StoreBackups::put(const TenantName& tenant, const Backup& backup) {
  auto writer = stores_.require_writable(tenant);  // keeps it the store that the catalog knows
  auto place = images::open_place(stores_.directory_of(tenant));
  BackupKey key;
  key.store_key =
      store_backup_key(*place, images::read_key_source("", stores_.key_file_of(tenant)));
  put_backup(*place, backup.node, backup.made_ms, encode_backup(backup, key));
}

std::vector<alerts::Condition> StoreBackups::conditions(uint64_t now_ms) {
  std::vector<alerts::Condition> found;
  for (const catalog::Tenant& tenant : catalog_.tenants(TenantScope::all())) {
    uint64_t last_ms = number_of(catalog_.find_fact(time_fact(tenant.name)));
    uint64_t since_ms = last_ms != 0 ? last_ms : tenant.created_ms;
    if (!base::has_passed(since_ms, kOldAfterMs, now_ms)) continue;
    auto attempts = attempts_.lock();
    auto attempt = attempts->find(tenant.name.text());
    std::string reason = attempt != attempts->end() && !attempt->second.problem.empty()
                             ? ": " + attempt->second.problem
                             : "";
    std::string when =
        last_ms == 0 ? "has never got" : "last got, on " + base::format_time_ms(last_ms) + ",";
    found.push_back({alerts::kBackupOld, tenant.name, "backup of the appliance",
                     fmt::format("the store of tenant {} {} a backup of the appliance{}",
                                 tenant.name.text(), when, reason)});
  }
  return found;
}

}  // namespace appliance::backup
