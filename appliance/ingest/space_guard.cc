#include "appliance/ingest/space_guard.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace appliance::ingest {
namespace {

using base::Error;
using base::ErrorCode;
using base::format_size;

constexpr std::chrono::seconds kStoreSizeAge{
    30};  // walking the store's files for each batch would be too expensive
constexpr uint64_t kAlertPercent = 80;

class GuardedSink : public images::StoreSink {
 public:
  GuardedSink(std::unique_ptr<images::StoreSink> below, SpaceGuard& guard, catalog::Host host)
      : below_(std::move(below)), guard_(guard), host_(std::move(host)) {}

  const images::ChunkHasher& hasher() const override { return below_->hasher(); }
  std::vector<bool> lacking(std::span<const images::PlacedChunk> places) override {
    return below_->lacking(places);
  }
  void send(const images::Batch& batch,
            const std::function<images::EncodedChunk(size_t)>& encode) override {
    uint64_t most = 0;
    for (const images::PlacedChunk& place : batch.places)
      most += place.id.is_zero() ? 0 : hasher().chunk_size();
    auto claim = guard_.claim(host_, most);
    std::atomic<uint64_t> size = 0;
    below_->send(batch, [&](size_t place) {
      images::EncodedChunk chunk = encode(place);
      size += chunk.bytes.size();
      return chunk;
    });
    guard_.stored(host_, size);
  }
  images::SinkProgress progress() const override { return below_->progress(); }
  images::PointId commit(const images::PointDetails& details) override {
    return below_->commit(details);
  }

 private:
  const std::unique_ptr<images::StoreSink> below_;
  SpaceGuard& guard_;
  const catalog::Host host_;
};

}  // namespace

uint64_t default_reserve(uint64_t disk_size) {
  return std::min(std::max<uint64_t>(1ull << 30, disk_size / 50), disk_size / 10);
}

DiskSpace disk_space_of(const std::string& directory) {
  struct statvfs space;
  if (::statvfs(directory.c_str(), &space) != 0)
    throw base::system_error(errno, "cannot find out how full the disk of " + directory + " is");
  return {uint64_t{space.f_bavail} * space.f_frsize, uint64_t{space.f_blocks} * space.f_frsize};
}

uint64_t size_on_disk(const std::string& directory) {
  namespace fs = std::filesystem;
  uint64_t sum = 0;
  std::error_code problem;
  fs::recursive_directory_iterator entry(directory, problem), end;
  for (; !problem && entry != end; entry.increment(problem)) {
    struct stat status;
    if (::lstat(entry->path().c_str(), &status) == 0)
      sum += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  return sum;
}

SpaceGuard::SpaceGuard(catalog::TenantRecords& catalog, std::vector<std::string> directories,
                       const SpaceLimits& limits, Sources sources)
    : catalog_(catalog), directories_(std::move(directories)), limits_(limits),
      sources_(std::move(sources)) {}

uint64_t SpaceGuard::hour_now() const {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::hours>(sources_.now().time_since_epoch()).count());
}

// Drops the hours that are more than a day old.
uint64_t SpaceGuard::sum(Volume& volume, uint64_t hour) {
  for (; volume.hour < hour; ++volume.hour) {
    if (hour - volume.hour > kHours) volume.hour = hour - kHours;
    volume.stored[(volume.hour + 1) % kHours] = 0;
  }
  uint64_t sum = 0;
  for (uint64_t each : volume.stored) sum += each;
  return sum;
}

uint64_t SpaceGuard::store_size(const catalog::TenantName& tenant) {
  {
    auto state = state_.lock();
    auto known = state->stores.find(tenant);
    if (known != state->stores.end() && sources_.now() - known->second.seen < kStoreSizeAge)
      return known->second.bytes;
  }
  uint64_t bytes = sources_.store_size(tenant);
  (*state_.lock()).stores[tenant] = {bytes, sources_.now()};
  return bytes;
}

void SpaceGuard::require_reserve(uint64_t size) {
  uint64_t claimed = *claimed_.lock();
  for (const std::string& directory : directories_) {
    DiskSpace space = sources_.space(directory);
    uint64_t reserve = limits_.reserve != 0 ? limits_.reserve : default_reserve(space.size);
    if (space.free >= reserve + claimed + size) continue;
    throw Error(
        ErrorCode::no_space,
        fmt::format("the appliance has no space for syncs: {} are free on the disk of {}, and {} "
                    "of it are reserved for instant VMs, the catalog and deletions. Delete "
                    "points and compact the store, or enlarge the disk",
                    format_size(space.free), directory, format_size(reserve)));
  }
}

std::unique_ptr<SpaceGuard::Claim> SpaceGuard::claim(const catalog::Host& host, uint64_t size) {
  try {
    require_reserve(size);
  } catch (const Error&) {
    auto state = state_.lock();
    state->refused_size = std::max(state->refused_size, size);
    throw;
  }
  if (auto quota = catalog_.tenant_quota(host.tenant)) {
    uint64_t used = store_size(host.tenant);
    if (used + size > *quota) {
      throw Error(
          ErrorCode::no_space,
          fmt::format("the tenant '{}' has no space left: its store takes {} of the {} that "
                      "it may. Delete points and compact the store, or allow more: "
                      "muletto tenant set {} --quota SIZE",
                      host.tenant, format_size(used), format_size(*quota), host.tenant));
    }
  }
  if (limits_.host_volume != 0) {
    auto state = state_.lock();
    auto volume = state->volumes.find(host.id);
    uint64_t stored = volume == state->volumes.end() ? 0 : sum(volume->second, hour_now());
    if (stored + size > limits_.host_volume) {
      throw Error(ErrorCode::no_space,
                  fmt::format("the host '{}' has no space left today: it has stored {} of the {} "
                              "that a host may in 24 hours (limits.host_volume)",
                              host.name, format_size(stored), format_size(limits_.host_volume)));
    }
  }
  *claimed_.lock() += size;
  return std::make_unique<Claim>(*this, size);
}

void SpaceGuard::stored(const catalog::Host& host, uint64_t size) {
  auto state = state_.lock();
  auto [volume, is_new] = state->volumes.try_emplace(host.id);
  volume->second.tenant = host.tenant;
  volume->second.name = host.name;
  if (is_new) volume->second.hour = hour_now();
  sum(volume->second, hour_now());
  volume->second.stored[hour_now() % kHours] += size;
  auto store = state->stores.find(host.tenant);
  if (store != state->stores.end()) store->second.bytes += size;
}

std::string SpaceGuard::busiest_host(const catalog::TenantName& tenant) {
  uint64_t most = 0;
  std::string name;
  auto state = state_.lock();
  for (auto& [id, volume] : state->volumes) {
    uint64_t stored = sum(volume, hour_now());
    if ((!tenant.empty() && volume.tenant != tenant) || stored <= most) continue;
    most = stored;
    name = volume.name;
  }
  if (most == 0) return "";
  return fmt::format("; most of the last day, {}, came from the host '{}'", format_size(most),
                     name);
}

std::vector<alerts::Condition> SpaceGuard::conditions() {
  std::vector<alerts::Condition> found;
  uint64_t refused_size = state_.lock()->refused_size;
  try {
    // What was refused would be refused again, even if a little space is left: no sync can continue
    // with that.
    require_reserve(refused_size);
    if (refused_size > 0) state_.lock()->refused_size = 0;
  } catch (const Error& error) {
    for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
      found.push_back({alerts::kSyncsWithoutSpace, tenant.name, tenant.name,
                       "syncs are refused: " + error.message() + busiest_host("")});
    }
  }
  for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
    auto quota = catalog_.tenant_quota(tenant.name);
    if (!quota) continue;
    uint64_t used = store_size(tenant.name);
    if (used < *quota / 100 * kAlertPercent) continue;
    found.push_back(
        {alerts::kQuotaNearlyUsed, tenant.name, tenant.name,
         fmt::format("the store of '{}' takes {} of the {} that it may{}", tenant.name,
                     format_size(used), format_size(*quota), busiest_host(tenant.name))});
  }
  if (limits_.host_volume == 0) return found;
  auto state = state_.lock();
  for (auto& [id, volume] : state->volumes) {
    uint64_t stored = sum(volume, hour_now());
    if (stored < limits_.host_volume / 100 * kAlertPercent) continue;
    found.push_back(
        {alerts::kHostVolume, volume.tenant, volume.name,
         fmt::format("the host '{}' has stored {} in 24 hours, of the {} that a host "
                     "may (limits.host_volume)",
                     volume.name, format_size(stored), format_size(limits_.host_volume))});
  }
  return found;
}

std::unique_ptr<images::StoreSink> guarded_sink(std::unique_ptr<images::StoreSink> below,
                                                SpaceGuard& guard, const catalog::Host& host) {
  return std::make_unique<GuardedSink>(std::move(below), guard, host);
}

}  // namespace appliance::ingest
