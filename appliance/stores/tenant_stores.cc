#include "appliance/stores/tenant_stores.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"

namespace appliance::stores {

using base::Error;
using base::ErrorCode;

TenantStores::TenantStores(base::FileSystem& files, std::string directory,
                           catalog::Catalog& catalog)
    : files_(files), directory_(std::move(directory)), catalog_(catalog) {
  files_.make_directory(directory_);
}

std::string TenantStores::directory_of(std::string_view tenant) const {
  if (tenant.empty() || tenant.starts_with('.') || tenant.find('/') != std::string_view::npos) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' cannot be a tenant's name", tenant.substr(0, 80)));
  }
  return base::join_path(directory_, std::string(tenant));
}

void TenantStores::open_existing() {
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    if (!files_.exists(directory_of(tenant.name))) continue;
    try {
      writer(tenant.name);
    } catch (const Error& error) {
      base::log().error("the store of tenant {} cannot be used: {}", tenant.name, error.message());
    }
  }
}

std::shared_ptr<images::StoreWriter> TenantStores::writer(const std::string& tenant) {
  catalog_.expect_tenant(tenant);
  std::string directory = directory_of(tenant);
  auto open = open_.lock();
  auto found = open->find(tenant);
  if (found != open->end()) {
    if (found->second->usable()) return found->second;
    close_unusable(*open, found);
  }
  if (!files_.exists(directory) || files_.list(directory).empty()) {
    images::init_store(files_, directory);
    base::log().info("made a store for tenant {} at {}", tenant, directory);
  }
  std::shared_ptr<images::StoreWriter> writer = images::StoreWriter::open(files_, directory);
  set_points(tenant, *writer);
  open->emplace(tenant, writer);
  return writer;
}

// A writer that gave up is closed once nobody uses it any more; the next one mends the store.
void TenantStores::close_unusable(Writers& open, Writers::iterator found) {
  if (found->second.use_count() > 1) {
    throw Error(ErrorCode::unavailable,
                fmt::format("the store of tenant {} has to be opened again, and is as soon as what "
                            "still reads it has ended: try again in a moment",
                            found->first));
  }
  base::log().warn("the store of tenant {} gave up, and is opened again", found->first);
  open.erase(found);
}

uint64_t TenantStores::recompute_points(const std::string& tenant) {
  return set_points(tenant, *writer(tenant));
}

uint64_t TenantStores::set_points(const std::string& tenant, images::StoreWriter& writer) {
  std::vector<images::PointSummary> points = writer.reader().points();
  catalog_.set_points(tenant, points);
  base::log().info("tenant {} has {} points", tenant, points.size());
  return points.size();
}

void TenantStores::close() { open_.lock()->clear(); }

}  // namespace appliance::stores
