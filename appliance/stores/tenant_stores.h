// The stores of all tenants. Each has an identity that the catalog knows, and a folder:
// STATE/stores/<tenant>/ unless `tenant adopt` gave another. A store is made when its tenant is
// made (the default tenant's at the first start of a new appliance), and never again: where one is
// missing, nothing is made in its place, the catalog keeps its points, every use is refused with a
// sentence, and it is taken up again when it is back (look()).
//
// A store that can be read but not written (StoreState::read_only, held) serves what only reads.
//
// Also keeps the catalog's points equal to what the stores hold. Points that a store has lost stay
// in mind as missing points, until they are back or an operator has them forgotten.
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
#include "images/store_writer.h"

namespace appliance::stores {

struct AdoptOrder {
  std::string tenant;
  std::string directory{};  // absolute; empty: where the tenant's store is now
  std::string key{};        // content of the key file of an encrypted store; empty: as it is
  bool is_confirmed = false;
};

// What the adoption of a store changes, or would change.
struct Adoption {
  std::string directory;
  images::StoreId id;
  std::optional<images::StoreId> known_id;
  uint64_t found_count = 0;  // points in the store
  uint64_t known_count = 0;  // points that the catalog has, missing ones included
  uint64_t lost_count = 0;   // of these, not in the store: they would be forgotten
  bool is_done = false;
};

class TenantStores {
 public:
  // `directory` is STATE/stores. Keys of encrypted stores are beside it, in STATE/keys. Makes and
  // opens nothing.
  TenantStores(base::FileSystem& files, std::string directory, catalog::Catalog& catalog);

  // Called when the store of a tenant was found to be gone while it was open, on the thread that
  // found it: to end what still writes to it.
  void set_on_lost(std::function<void(const std::string& tenant)> on_lost);

  // Takes up every store, and makes those that have yet to be made. A store that cannot be opened
  // is logged: the others must not suffer.
  void open_existing() { look(); }

  // Looks whether every store is what it was, and takes up those that are back. To be called every
  // few seconds. What cannot be opened is tried at each call.
  void look();

  // The tenant's store, at least for reading. Throws not_found (no such tenant), unavailable (with
  // what is wrong and what to do). The result keeps the store open.
  std::shared_ptr<images::StoreWriter> writer(const std::string& tenant);
  // The same for what writes: throws unavailable for a store that can only be read.
  std::shared_ptr<images::StoreWriter> expect_writable(const std::string& tenant);

  StoreStanding standing(const std::string& tenant);  // throws not_found
  std::vector<StoreStanding> standings();             // as last seen, of all tenants, by name

  // Where a tenant's store is, whether or not it is there. Throws invalid_argument for a tenant
  // whose name cannot be a folder's.
  std::string directory_of(std::string_view tenant);
  // Where its key is if it is encrypted, whether or not it is there.
  std::string key_path_of(std::string_view tenant) const;
  // The path of the key; empty for a store without one.
  std::string key_file_of(const std::string& tenant);

  // Makes a tenant and its store; both are durable when it returns. Encrypted under a new key,
  // which is in key_path_of(). Throws already_exists: the tenant, or something in its folder.
  void create_tenant(const std::string& tenant, bool encrypted);

  // The store in the order's folder becomes the tenant's, and the catalog's points become its own;
  // the tenant is made if there is none. If that would forget points, or another id was known,
  // nothing is done unless the order is confirmed. Throws not_found (no store there), busy (it is
  // another tenant's, or another process writes to it), corrupt, unauthorized (wrong key).
  Adoption adopt(const AdoptOrder& order);

  // Makes the catalog's points of the tenant again from its store, an operator's order. Returns how
  // many there are. Throws busy if points would be forgotten and `lost` does not say so.
  uint64_t recompute_points(const std::string& tenant,
                            catalog::LostPoints lost = catalog::LostPoints::keep_in_mind);

  // Closes all stores that nobody uses any more. After this, writer() opens them again.
  void close();

 private:
  // One tenant's store. `mutex` is held while it is looked at or opened (seconds after a crash), so
  // that nobody opens it a second time.
  struct Place {
    std::mutex mutex;
    std::shared_ptr<images::StoreWriter> writer;
    std::weak_ptr<images::StoreWriter> let_go;  // of a folder that went away; some may use it still
    bool is_reading = false;                    // the writer is one that refuses to write
    std::unique_ptr<base::FilePlace> folder;    // when it was opened
    std::unique_ptr<StoreTrouble> trouble;      // why it is not there, or not to be written
    uint64_t tried_ms = 0;                      // when it could last not be opened; monotonic
  };
  using Places = std::map<std::string, std::shared_ptr<Place>>;

  std::string default_directory(std::string_view tenant) const;
  std::shared_ptr<Place> place_of(const std::string& tenant);
  void settle(const std::string& tenant, Place& place);
  void let_go_of_what_is_gone(const std::string& tenant, Place& place);
  std::optional<StoreTrouble> trouble_while_open(const Place& place) const;
  void open(const std::string& tenant, Place& place);
  StoreSeen claim(const std::string& tenant, const std::string& directory);
  void open_seen(const std::string& tenant, Place& place, const std::string& directory,
                 StoreSeen& seen);
  void take_up(const std::string& tenant, Place& place, const std::string& directory,
               std::shared_ptr<images::StoreWriter> writer, bool is_reading,
               const images::StoreIdentity& identity);
  void note(const std::string& tenant, Place& place, const StoreSeen& seen);
  images::KeySource key_of(std::string_view tenant, const images::StoreIdentity& identity) const;
  void make_store(const std::string& tenant, const std::string& directory, bool encrypted);
  uint64_t set_points(const std::string& tenant, images::StoreWriter& writer,
                      catalog::LostPoints lost);
  Adoption weigh(const AdoptOrder& order, const StoreSeen& seen,
                 const std::vector<images::PointSummary>& points);
  void take_over(const AdoptOrder& order, const images::StoreIdentity& identity);
  bool has_tenant(const std::string& name);

  base::FileSystem& files_;
  const std::string directory_;
  const std::string keys_directory_;
  catalog::Catalog& catalog_;
  std::function<void(const std::string&)> on_lost_;
  base::Guarded<Places> places_;
  base::Guarded<std::map<std::string, StoreStanding>> standings_;
};

}  // namespace appliance::stores
