// Keeps a backup of the appliance in each tenant's store: once a day, and soon after what cannot be
// found out again has changed (tenants, hosts, tokens, policies, protected machines). It is sealed with
// the store's key where the store is encrypted. Keys of stores are not in it: a tenant's key must not be
// in another tenant's store (content.h).
//
// When each store got its newest one is remembered in the catalog; if that was more than two days ago,
// that is an alert. Thread-safe; round() is called by one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/backup/content.h"
#include "appliance/catalog/catalog.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"
#include "base/guarded.h"

namespace appliance::backup {

class StoreBackups {
 public:
  static constexpr uint64_t kEveryMs = 24 * 3'600'000;
  static constexpr uint64_t kOldAfterMs = 48 * 3'600'000;
  // From the first change that is noticed until the backup: what belongs together is often changed by
  // several commands.
  static constexpr uint64_t kSettleMs = 20'000;
  static constexpr uint64_t kRetryMs = 10 * 60'000;

  // All must outlive it. `settings_path`: the file of the settings; may be empty.
  StoreBackups(const Config& config, std::string settings_path, catalog::Catalog& catalog,
               stores::TenantStores& stores, const base::Clock& clock = base::system_clock());

  // Makes the backups that are due. A store that cannot take one is logged and tried again later; throws
  // what collecting the content throws.
  void round();

  // Of the stores whose newest backup is too old.
  std::vector<alerts::Condition> conditions(uint64_t now_ms);

 private:
  struct Attempt {
    uint64_t steady_ms = 0;
    std::string problem;  // empty: it worked
  };

  std::string digest_of_settings();
  bool is_due(const catalog::TenantName& tenant, const std::string& digest, bool is_settled);
  void back_up(const std::vector<catalog::TenantName>& tenants, const std::string& digest);
  void put(const catalog::TenantName& tenant, const Backup& backup);

  const Config& config_;
  const std::string settings_path_;
  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  const base::Clock& clock_;
  uint64_t looked_ms_ = 0;                                  // steady
  std::string seen_digest_;                                 // and since when it is so, for settling
  uint64_t seen_ms_ = 0;                                    // steady
  base::Guarded<std::map<std::string, Attempt>> attempts_;  // by tenant
};

}  // namespace appliance::backup
