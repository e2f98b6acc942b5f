// The stores of all tenants, one each, under STATE/stores/<tenant>/: made when first needed, opened
// once, kept open until the daemon ends. Also keeps the catalog's points equal to what the stores
// hold. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "appliance/catalog/catalog.h"
#include "base/file_system.h"
#include "base/guarded.h"
#include "images/store_writer.h"

namespace appliance::stores {

class TenantStores {
 public:
  // `directory` is STATE/stores; it is made if it is missing.
  TenantStores(base::FileSystem& files, std::string directory, catalog::Catalog& catalog);

  // Opens every store there is. A store that cannot be opened
  // is reported in the log and tried again when it is needed: the others must not suffer.
  void open_existing();

  // The tenant's store; makes it if there is none. When it is opened the catalog's points are
  // recomputed from it: somebody may have worked on it while no daemon ran. One that gave up
  // (StoreWriter::usable) is opened anew. Throws not_found (no such tenant), unavailable (it gave
  // up, and somebody still uses it), busy (another program writes it), corrupt, no_space, … The
  // result keeps the store open.
  std::shared_ptr<images::StoreWriter> writer(const std::string& tenant);

  // Where a tenant's store is, whether or not it exists. Throws invalid_argument for a tenant whose
  // name cannot be a folder's.
  std::string directory_of(std::string_view tenant) const;

  // Makes the catalog's points of the tenant anew from its store. Returns how many there are.
  uint64_t recompute_points(const std::string& tenant);

  // Closes all stores that nobody uses any more. After this, writer() opens them anew.
  void close();

 private:
  using Writers = std::map<std::string, std::shared_ptr<images::StoreWriter>>;

  void close_unusable(Writers& open, Writers::iterator found);
  uint64_t set_points(const std::string& tenant, images::StoreWriter& writer);

  base::FileSystem& files_;
  const std::string directory_;
  catalog::Catalog& catalog_;
  // Held while a store is opened (seconds after a crash), so that nobody opens it a second time.
  base::Guarded<Writers> open_;
};

}  // namespace appliance::stores
