// How a tenant gets its store: a new one created with the tenant, or an existing one on request.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "appliance/stores/tenant_stores.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::stores {

using base::Error;
using base::ErrorCode;

namespace {

constexpr size_t kKeySize = 32;  // random bytes, written as hexadecimal

images::KeySource key_from(std::string_view content) {
  images::KeySource key;
  auto bytes = base::as_bytes(content);
  key.key_file.assign(bytes.begin(), bytes.end());
  return key;
}

}  // namespace

// The key first: if the key of a store is lost, so is the store.
void TenantStores::make_store(const catalog::TenantName& tenant, const std::string& directory,
                              bool encrypted) {
  images::InitOptions options;
  if (encrypted) {
    std::string key = base::to_hex(base::random_array<kKeySize>());
    base::make_private_directory(keys_directory_);
    if (files_.exists(key_path_of(tenant)))
      throw Error(ErrorCode::already_exists,
                  fmt::format("there is already a key in {}", key_path_of(tenant)));
    base::write_private_file(key_path_of(tenant), key);
    options.key = key_from(key);
  }
  if (!files_.exists(directory_)) base::make_private_directory(directory_);
  images::init_store(files_, directory, options);
  base::log().info("created a store for tenant {} at {}", tenant, directory);
}

void TenantStores::create_tenant(const catalog::TenantName& tenant, bool encrypted) {
  std::string directory = default_directory(tenant);
  if (has_tenant(tenant))
    throw Error(ErrorCode::already_exists, fmt::format("there is a tenant '{}' already", tenant));
  StoreSeen seen = look_at_store(files_, directory, {}, key_path_of(tenant));
  if (!seen.folder_is_vacant) {
    throw Error(
        ErrorCode::already_exists,
        fmt::format("there is already something in {}; to take over a store there: 'muletto "
                    "tenant adopt {}'",
                    directory, tenant));
  }
  if (!files_.exists(directory_)) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("the folder of the stores, {}, does not exist: mount its disk", directory_));
  }
  make_store(tenant, directory, encrypted);
  images::StoreId id = images::identify_store(files_, directory).id;
  catalog_.add_tenant(tenant, base::now_ms());
  catalog_.save_store(tenant, {id, ""});
  standing(tenant);
}

Adoption TenantStores::weigh(const AdoptOrder& order, const StoreSeen& seen,
                             const std::vector<images::PointSummary>& points) {
  Adoption adoption;
  adoption.directory = order.directory;
  adoption.id = seen.identity->id;
  adoption.found_count = points.size();
  if (!has_tenant(order.tenant)) return adoption;
  if (auto record = catalog_.find_store(order.tenant)) adoption.known_id = record->id;
  std::set<images::PointId> found;
  for (const images::PointSummary& point : points) found.insert(point.id);
  auto count = [&](const images::PointId& id) {
    ++adoption.known_count;
    if (!found.contains(id)) ++adoption.lost_count;
  };
  for (const catalog::PointRow& row : catalog_.points(order.tenant, "")) count(row.summary.id);
  for (const catalog::MissingPoint& point : catalog_.missing_points(order.tenant)) count(point.id);
  return adoption;
}

Adoption TenantStores::adopt(const AdoptOrder& given) {
  AdoptOrder order = given;
  default_directory(order.tenant);  // throws for a tenant name that cannot be a folder's
  if (order.directory.empty()) order.directory = directory_of(order.tenant);
  StoreSeen seen = look_at_store(files_, order.directory, {}, key_path_of(order.tenant));
  if (!seen.identity) throw Error(ErrorCode::not_found, seen.trouble->error.message());
  for (const catalog::TenantName& other : catalog_.tenants_with_store(seen.identity->id)) {
    if (other == order.tenant) continue;
    throw Error(ErrorCode::busy,
                fmt::format("the store in {} is that of tenant '{}'", order.directory, other));
  }
  images::KeySource key =
      order.key.empty() ? key_of(order.tenant, *seen.identity) : key_from(order.key);
  // Only read: the store may belong to someone else.
  Adoption adoption =
      weigh(order, seen, images::StoreReader::open(files_, order.directory, key)->points());
  bool changes_id = adoption.known_id && *adoption.known_id != adoption.id;
  bool needs_word = adoption.lost_count != 0 || (changes_id && adoption.known_count != 0);
  if (needs_word && !order.is_confirmed) return adoption;
  if (!order.key.empty()) {
    base::make_private_directory(keys_directory_);
    base::write_private_file(key_path_of(order.tenant), order.key);
  }
  if (!has_tenant(order.tenant)) catalog_.add_tenant(order.tenant, base::now_ms());
  take_over(order, *seen.identity);
  base::log().info("the store of tenant {} is now {} in {}", order.tenant, adoption.id.hex(),
                   order.directory);
  adoption.is_done = true;
  return adoption;
}

void TenantStores::take_over(const AdoptOrder& order, const images::StoreIdentity& identity) {
  auto place = place_of(order.tenant);
  std::lock_guard lock(place->mutex);
  bool is_elsewhere = place->folder && place->folder->path() != order.directory;
  auto record = catalog_.find_store(order.tenant);
  if (is_elsewhere || !record || record->id != identity.id) {
    place->writer.reset();
    if (on_lost_) on_lost_(order.tenant);
  }
  bool is_usual = order.directory == default_directory(order.tenant);
  catalog_.save_store(order.tenant, {identity.id, is_usual ? "" : order.directory});
  standings_.lock()->erase(order.tenant);
  place->tried_ms = 0;
  settle(order.tenant, *place);
  if (!place->writer) throw place->trouble->error;
  set_points(order.tenant, *place->writer, catalog::LostPoints::forget);
  StoreSeen now;
  now.identity = identity;
  if (place->trouble) now.trouble.emplace(*place->trouble);
  note(order.tenant, *place, now);
}

bool TenantStores::has_tenant(const catalog::TenantName& name) {
  std::vector<catalog::Tenant> all = catalog_.tenants(catalog::TenantScope::all());
  return std::any_of(all.begin(), all.end(),
                     [&](const catalog::Tenant& tenant) { return tenant.name == name; });
}

}  // namespace appliance::stores
