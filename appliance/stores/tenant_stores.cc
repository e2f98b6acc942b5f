#include "appliance/stores/tenant_stores.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "appliance/stores/reading_store.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::stores {

using base::Error;
using base::ErrorCode;

namespace {

// A store that could not be opened is not retried at each call: opening may be expensive.
constexpr uint64_t kRetryAfterMs = 1000;

uint64_t monotonic_ms() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace

TenantStores::TenantStores(base::FileSystem& files, std::string directory,
                           catalog::Catalog& catalog)
    : files_(files), directory_(std::move(directory)),
      keys_directory_(base::join_path(base::parent_path(directory_), "keys")), catalog_(catalog) {}

void TenantStores::set_on_lost(std::function<void(const catalog::TenantName&)> on_lost) {
  on_lost_ = std::move(on_lost);
}

std::string TenantStores::default_directory(const catalog::TenantName& tenant) const {
  const std::string& name = tenant.text();
  if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' cannot be the name of a tenant", name.substr(0, 80)));
  }
  base::check_name(name, "tenant's name");
  return base::join_path(directory_, name);
}

catalog::TenantName TenantStores::tenant_of(std::string_view directory) {
  try {
    for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
      if (directory_of(tenant.name) == directory) return tenant.name;
    }
  } catch (const base::Error& error) {
    base::log().warn("whose store {} is cannot be found out now: {}", directory, error.message());
  }
  return catalog::TenantName(catalog::kDefaultTenant);
}

std::string TenantStores::directory_of(const catalog::TenantName& tenant) {
  std::string directory = default_directory(tenant);
  {
    auto standings = standings_.lock();
    auto known = standings->find(tenant);
    if (known != standings->end()) return known->second.directory;
  }
  try {
    auto record = catalog_.find_store(tenant);
    return record && !record->directory.empty() ? record->directory : directory;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return directory;  // no such tenant yet
  }
}

std::string TenantStores::key_path_of(const catalog::TenantName& tenant) const {
  return base::join_path(keys_directory_, tenant.text());
}

std::string TenantStores::key_file_of(const catalog::TenantName& tenant) {
  auto standings = standings_.lock();
  auto known = standings->find(tenant);
  bool encrypted = known != standings->end() && known->second.encrypted;
  return encrypted ? key_path_of(tenant) : std::string();
}

std::shared_ptr<TenantStores::Place> TenantStores::place_of(const catalog::TenantName& tenant) {
  catalog_.require_tenant(tenant);
  auto places = places_.lock();
  auto& place = (*places)[tenant];
  if (!place) place = std::make_shared<Place>();
  return place;
}

void TenantStores::look() {
  for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
    auto place = place_of(tenant.name);
    std::lock_guard lock(place->mutex);
    place->tried_ms = 0;
    settle(tenant.name, *place);
  }
}

std::shared_ptr<images::StoreWriter> TenantStores::writer(const catalog::TenantName& tenant) {
  auto place = place_of(tenant);
  std::lock_guard lock(place->mutex);
  settle(tenant, *place);
  if (!place->writer) throw place->trouble->error;
  return place->writer;
}

std::shared_ptr<images::StoreWriter> TenantStores::require_writable(
    const catalog::TenantName& tenant) {
  auto place = place_of(tenant);
  std::lock_guard lock(place->mutex);
  settle(tenant, *place);
  if (place->trouble) throw place->trouble->error;
  return place->writer;
}

StoreStanding TenantStores::standing(const catalog::TenantName& tenant) {
  auto place = place_of(tenant);
  {
    std::lock_guard lock(place->mutex);
    settle(tenant, *place);
  }
  return standings_.lock()->at(tenant);
}

std::vector<StoreStanding> TenantStores::standings() {
  std::vector<StoreStanding> all;
  auto known = standings_.lock();
  for (const auto& [tenant, standing] : *known) all.push_back(standing);
  return all;
}

// Brings the place up to date. Afterwards it has a writer, or the trouble that explains why not;
// both if the store can only be read.
void TenantStores::settle(const catalog::TenantName& tenant, Place& place) {
  let_go_of_what_is_gone(tenant, place);
  if (place.writer && !place.is_reading) {
    StoreSeen seen;
    seen.trouble = trouble_while_open(place);
    bool is_news = seen.trouble.has_value() != (place.trouble != nullptr);
    if (is_news) note(tenant, place, seen);
    return;
  }
  if (monotonic_ms() < place.tried_ms + kRetryAfterMs) return;
  open(tenant, place);
  place.tried_ms = place.trouble ? monotonic_ms() : 0;
}

// If the folder is no longer the same, it is released at once, even if it is still in use: writes
// to it then fail (StoreWriter). A writer that failed permanently is closed once it is no longer in
// use, and the next one repairs the store.
void TenantStores::let_go_of_what_is_gone(const catalog::TenantName& tenant, Place& place) {
  if (!place.writer || place.writer->usable()) return;
  if (!place.folder->is_current()) {
    base::log().error("the store of tenant {} is gone from {}", tenant, place.folder->path());
    place.let_go = std::exchange(place.writer, nullptr);
    if (on_lost_) on_lost_(tenant);
    return;
  }
  if (place.writer.use_count() > 1) return;
  base::log().warn("the store of tenant {} failed permanently, and is opened again", tenant);
  place.writer.reset();
}

// For a store that is open for writing.
std::optional<StoreTrouble> TenantStores::trouble_while_open(const Place& place) const {
  const std::string& directory = place.folder->path();
  if (!place.writer->usable()) {
    return StoreTrouble{
        StoreState::held,
        Error(ErrorCode::unavailable,
              fmt::format("the store in {} has to be opened again, which happens as soon as its "
                          "present readers have ended: try again in a moment",
                          directory))};
  }
  return look_whether_writable(directory);
}

void TenantStores::open(const catalog::TenantName& tenant, Place& place) {
  std::string directory = directory_of(tenant);
  StoreSeen seen;
  try {
    auto record = catalog_.find_store(tenant);
    seen = record && record->id ? look_at_store(files_, directory, record->id, key_path_of(tenant))
                                : claim(tenant, directory);
    open_seen(tenant, place, directory, seen);
  } catch (const Error& error) {
    seen.trouble.emplace(trouble_of_opening(directory, error));
    place.writer.reset();
  }
  note(tenant, place, seen);
}

// The tenant's store id is not known: it is created, if there never was one; a catalog of an older
// version learns its id.
StoreSeen TenantStores::claim(const catalog::TenantName& tenant, const std::string& directory) {
  auto record = catalog_.find_store(tenant);
  StoreSeen seen = look_at_store(files_, directory, {}, key_path_of(tenant));
  bool never_had_one = !record || catalog_.machines(tenant).empty();
  if (!seen.identity && seen.folder_is_vacant && never_had_one) {
    make_store(tenant, directory, false);
    return look_at_store(files_, directory, {}, key_path_of(tenant));
  }
  if (!seen.identity) return seen;
  if (!record && seen.identity->has_points) {
    seen.trouble.emplace(StoreTrouble{
        StoreState::unclaimed,
        Error(ErrorCode::unavailable,
              fmt::format(
                  "there is a store with points in {} that this appliance has never had; adopt "
                  "it: muletto tenant adopt {}",
                  directory, tenant))});
    return seen;
  }
  std::vector<catalog::PointRow> known = catalog_.points(tenant, "");
  if (!known.empty() && !seen.identity->has_points) {
    seen.trouble.emplace(StoreTrouble{
        StoreState::foreign,
        Error(
            ErrorCode::unavailable,
            fmt::format("the store in {} is empty, but {} are known of tenant {}: mount the right "
                        "disk, or adopt it: muletto tenant adopt {}",
                        directory, base::format_count(known.size(), "point"), tenant, tenant))});
    return seen;
  }
  return seen;
}

// Opens it for writing or, if that is not possible, for reading. `seen` gets the trouble that is
// found.
void TenantStores::open_seen(const catalog::TenantName& tenant, Place& place,
                             const std::string& directory, StoreSeen& seen) {
  if (seen.trouble && seen.trouble->state != StoreState::read_only) return place.writer.reset();
  if (!place.let_go.expired()) {
    seen.trouble.emplace(StoreTrouble{
        StoreState::held,
        Error(ErrorCode::unavailable,
              fmt::format(
                  "the store in {} is back, but work that was running when it went away has "
                  "not ended: points can be booted and restored, none can be added or deleted "
                  "for a moment",
                  directory))});
  }
  images::KeySource key = key_of(tenant, *seen.identity);
  if (!seen.trouble) {
    try {
      std::shared_ptr<images::StoreWriter> writer =
          images::StoreWriter::open(files_, directory, key);
      return take_up(tenant, place, directory, std::move(writer), false, *seen.identity);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy) throw;
      seen.trouble.emplace(trouble_of_opening(directory, error));
    }
  }
  if (place.writer) return;  // already open for reading
  take_up(tenant, place, directory, open_for_reading(files_, directory, key, seen.trouble->error),
          true, *seen.identity);
}

void TenantStores::take_up(const catalog::TenantName& tenant, Place& place,
                           const std::string& directory,
                           std::shared_ptr<images::StoreWriter> writer, bool is_reading,
                           const images::StoreIdentity& identity) {
  set_points(tenant, *writer, catalog::LostPoints::keep_in_mind);
  auto record = catalog_.find_store(tenant).value_or(catalog::StoreRecord{});
  if (!record.id) {
    record.id = identity.id;
    catalog_.save_store(tenant, record);
  }
  place.folder = std::make_unique<base::FilePlace>(directory);
  place.writer = std::move(writer);
  place.is_reading = is_reading;
}

// standings() reports the new state, and it is logged once.
void TenantStores::note(const catalog::TenantName& tenant, Place& place, const StoreSeen& seen) {
  StoreStanding standing;
  standing.tenant = tenant;
  auto record = catalog_.find_store(tenant).value_or(catalog::StoreRecord{});
  standing.directory = record.directory.empty() ? default_directory(tenant) : record.directory;
  standing.state = seen.trouble ? seen.trouble->state : StoreState::ready;
  if (seen.trouble) standing.problem = seen.trouble->error.message();
  standing.id = record.id;
  standing.missing_points = catalog_.missing_points(tenant).size();
  standing.since_ms = base::now_ms();
  place.trouble = seen.trouble ? std::make_unique<StoreTrouble>(*seen.trouble) : nullptr;
  auto standings = standings_.lock();
  auto before = standings->find(tenant);
  if (before != standings->end()) {
    standing.encrypted = before->second.encrypted;
    if (before->second.state == standing.state) standing.since_ms = before->second.since_ms;
  }
  if (seen.identity) standing.encrypted = seen.identity->encrypted;
  bool is_news = before == standings->end() ? seen.trouble.has_value()
                                            : before->second.problem != standing.problem;
  if (is_news && seen.trouble)
    base::log().error("the store of tenant {} cannot be used: {}", tenant, standing.problem);
  if (is_news && !seen.trouble) base::log().info("the store of tenant {} is back", tenant);
  (*standings)[tenant] = std::move(standing);
}

images::KeySource TenantStores::key_of(const catalog::TenantName& tenant,
                                       const images::StoreIdentity& identity) const {
  if (!identity.encrypted) return {};
  return images::read_key_source("", key_path_of(tenant));
}

uint64_t TenantStores::recompute_points(const catalog::TenantName& tenant,
                                        catalog::LostPoints lost) {
  auto writer = this->writer(tenant);
  uint64_t count = set_points(tenant, *writer, catalog::LostPoints::keep_in_mind);
  size_t missing = catalog_.missing_points(tenant).size();
  if (missing != 0 && lost == catalog::LostPoints::keep_in_mind) {
    throw Error(
        ErrorCode::busy,
        fmt::format("the store has {}, and lacks {} that the appliance knows; to forget them: "
                    "muletto tenant recompute --forget",
                    base::format_count(count, "point"), missing));
  }
  count = set_points(tenant, *writer, lost);
  auto standings = standings_.lock();
  auto known = standings->find(tenant);
  if (known != standings->end()) known->second.missing_points = 0;
  return count;
}

uint64_t TenantStores::set_points(const catalog::TenantName& tenant, images::StoreWriter& writer,
                                  catalog::LostPoints lost) {
  std::vector<images::PointSummary> points = writer.reader().points();
  catalog_.set_points(tenant, points, lost);
  base::log().info("tenant {} has {} points", tenant, points.size());
  return points.size();
}

void TenantStores::close() {
  auto places = places_.lock();
  for (auto& [tenant, place] : *places) {
    std::lock_guard lock(place->mutex);
    place->writer.reset();
    place->trouble.reset();
    place->tried_ms = 0;
  }
}

}  // namespace appliance::stores
