// The stores of all tenants. Each has an identity that the catalog knows, and a folder:
// STATE/stores/<tenant>/ unless `tenant adopt` gave another. A store is created together with its
// tenant (the default tenant's at the first start of a new appliance), and never again. If one is
// missing, nothing is made in its place, the catalog keeps its points, every use is refused with an
// explanation, and it is picked up again when it is back (look()).
//
// A store that can be read but not written (StoreState::read_only, held) can still be used for
// reading.
//
// Also keeps the catalog's points equal to what the stores contain. Points that a store has lost
// are remembered as missing points, until they are back or an operator has them forgotten.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "appliance/stores/store_look.h"
#include "appliance/stores/store_standing.h"
#include "base/file_place.h"
#include "base/file_system.h"
#include "base/guarded.h"
#include "images/store/store_writer.h"

namespace appliance::stores {

struct AdoptOrder {
  catalog::TenantName tenant;
  std::string directory{};  // absolute; empty: the present folder of the tenant's store
  std::string key{};        // content of the key file of an encrypted store; empty: unchanged
  bool is_confirmed = false;
};

// What the adoption of a store changes, or would change.
struct Adoption {
  std::string directory;
  images::StoreId id;
  std::optional<images::StoreId> known_id;
  uint64_t found_count = 0;  // points in the store
  uint64_t known_count = 0;  // points in the catalog, including missing ones
  uint64_t lost_count = 0;   // of these, not in the store: they would be forgotten
  bool is_done = false;
};

class TenantStores {
 public:
  // `directory` is STATE/stores. Keys of encrypted stores are beside it, in STATE/keys. Creates and
  // opens nothing.
  TenantStores(base::FileSystem& files, std::string directory, catalog::Catalog& catalog);

  // Called if the store of a tenant is found to be gone while it was open, on the thread that found
  // it: ends what still writes to it.
  void set_on_lost(std::function<void(const catalog::TenantName& tenant)> on_lost);

  // Opens every store, and creates those that do not exist yet. A store that cannot be opened is
  // logged and does not affect the others.
  void open_existing() { look(); }

  // Checks whether every store is still the same, and picks up those that are back. To be called
  // every few seconds. Retries at each call what cannot be opened.
  void look();

  // The tenant's store, at least for reading. Throws not_found (no such tenant), unavailable (with
  // what is wrong and what to do). The result keeps the store open.
  std::shared_ptr<images::StoreWriter> writer(const catalog::TenantName& tenant);
  // The same for writers: throws unavailable for a store that can only be read.
  std::shared_ptr<images::StoreWriter> require_writable(const catalog::TenantName& tenant);

  StoreStanding standing(const catalog::TenantName& tenant);  // throws not_found
  std::vector<StoreStanding> standings();  // at the last check, for all tenants, by name

  // The path of a tenant's store, whether or not it exists. Throws invalid_argument for a tenant
  // whose name cannot be a folder's.
  std::string directory_of(const catalog::TenantName& tenant);
  // The tenant whose store that is now; the default one if it is nobody's, or if this cannot be
  // found out, which is logged. Never throws.
  catalog::TenantName tenant_of(std::string_view directory);
  // The path of its key if it is encrypted, whether or not it exists.
  std::string key_path_of(const catalog::TenantName& tenant) const;
  // The path of the key; empty for a store without one.
  std::string key_file_of(const catalog::TenantName& tenant);

  // Creates a tenant and its store; both are durable when it returns. Encrypted under a new key,
  // which is in key_path_of(). Throws already_exists: the tenant, or something in its folder.
  void create_tenant(const catalog::TenantName& tenant, bool encrypted);

  // The store in the given folder becomes the tenant's, and its points replace the catalog's; the
  // tenant is created if there is none. If that would forget points, or another id was known,
  // nothing is done unless the order is confirmed. Throws not_found (no store there), busy (it
  // belongs to another tenant, or another process writes to it), corrupt, unauthorized (wrong key).
  Adoption adopt(const AdoptOrder& order);

  // Rebuilds the catalog's points of the tenant from its store, on an operator's request. Returns
  // how many there are. Throws busy if points would be forgotten and `lost` does not allow it.
  uint64_t recompute_points(const catalog::TenantName& tenant,
                            catalog::LostPoints lost = catalog::LostPoints::keep_in_mind);

  // Closes all stores that are no longer in use. After this, writer() opens them again.
  void close();

 private:
  // One tenant's store. `mutex` is held while it is checked or opened (which takes seconds after a
  // crash), so that it is not opened twice.
  struct Place {
    std::mutex mutex;
    std::shared_ptr<images::StoreWriter> writer;
    std::weak_ptr<images::StoreWriter> let_go;  // of a folder that went away; may still be in use
    bool is_reading = false;                    // the writer refuses to write
    std::unique_ptr<base::FilePlace> folder;    // at the time it was opened
    std::unique_ptr<StoreTrouble> trouble;      // why it is missing, or cannot be written
    uint64_t tried_ms = 0;                      // when opening last failed; monotonic
  };
  using Places = std::map<catalog::TenantName, std::shared_ptr<Place>>;

  std::string default_directory(const catalog::TenantName& tenant) const;
  std::shared_ptr<Place> place_of(const catalog::TenantName& tenant);
  void settle(const catalog::TenantName& tenant, Place& place);
  void let_go_of_what_is_gone(const catalog::TenantName& tenant, Place& place);
  std::optional<StoreTrouble> trouble_while_open(const Place& place) const;
  void open(const catalog::TenantName& tenant, Place& place);
  StoreSeen claim(const catalog::TenantName& tenant, const std::string& directory);
  void open_seen(const catalog::TenantName& tenant, Place& place, const std::string& directory,
                 StoreSeen& seen);
  void take_up(const catalog::TenantName& tenant, Place& place, const std::string& directory,
               std::shared_ptr<images::StoreWriter> writer, bool is_reading,
               const images::StoreIdentity& identity);
  void note(const catalog::TenantName& tenant, Place& place, const StoreSeen& seen);
  images::KeySource key_of(const catalog::TenantName& tenant,
                           const images::StoreIdentity& identity) const;
  void make_store(const catalog::TenantName& tenant, const std::string& directory, bool encrypted);
  uint64_t set_points(const catalog::TenantName& tenant, images::StoreWriter& writer,
                      catalog::LostPoints lost);
  Adoption weigh(const AdoptOrder& order, const StoreSeen& seen,
                 const std::vector<images::PointSummary>& points);
  void take_over(const AdoptOrder& order, const images::StoreIdentity& identity);
  bool has_tenant(const catalog::TenantName& name);

  base::FileSystem& files_;
  const std::string directory_;
  const std::string keys_directory_;
  catalog::Catalog& catalog_;
  std::function<void(const catalog::TenantName&)> on_lost_;
  base::Guarded<Places> places_;
  base::Guarded<std::map<catalog::TenantName, StoreStanding>> standings_;
};

}  // namespace appliance::stores
