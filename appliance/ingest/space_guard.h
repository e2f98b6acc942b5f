// Who may still store how much. Three limits, checked before each batch of each sync:
//
//   the reserve  Space that stays free on the disks of stores and state, for what must keep working
//                when a store is full: the writes of instant VMs, the catalog, boots, stops,
//                deletions.
//   the quota    of a tenant: bytes that its store takes on the disk.
//   the volume   of a host: bytes that it added to the store within 24 hours.
//
// Volumes are counted in memory: a restart of the daemon forgets them. Thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/tenant_records.h"
#include "base/guarded.h"
#include "images/point_sink.h"

namespace appliance::ingest {

struct SpaceLimits {
  uint64_t reserve = 0;      // bytes; 0: default_reserve() of each disk
  uint64_t host_volume = 0;  // bytes in 24 hours; 0: no limit
};

// Bytes kept free on a disk of that size: the greater of 1 GiB and 2 %, at most a tenth of it.
uint64_t default_reserve(uint64_t disk_size);

struct DiskSpace {
  uint64_t free = 0;  // bytes that a process without privileges can get
  uint64_t size = 0;  // bytes
};
// Throws io, not_found.
DiskSpace disk_space_of(const std::string& directory);

class SpaceGuard {
 public:
  using Clock = std::chrono::steady_clock;
  // What the functions below query; tests pass answers of their own.
  struct Sources {
    std::function<DiskSpace(const std::string& directory)> space = disk_space_of;
    std::function<uint64_t(const catalog::TenantName& tenant)> store_size;  // bytes on the disk
    std::function<Clock::time_point()> now = &Clock::now;
  };

  // `directories`: those of the stores and of the state; they may be on one disk or two.
  SpaceGuard(catalog::TenantRecords& catalog, std::vector<std::string> directories,
             const SpaceLimits& limits, Sources sources);

  // Bytes that may be written soon, released when it is destroyed.
  class Claim {
   public:
    Claim(SpaceGuard& guard, uint64_t size) : guard_(guard), size_(size) {}
    ~Claim() { *guard_.claimed_.lock() -= size_; }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    SpaceGuard& guard_;
    const uint64_t size_;
  };

  // Throws no_space, with a sentence that names the limit, unless the host may store `size` bytes
  // more.
  std::unique_ptr<Claim> claim(const catalog::Host& host, uint64_t size);
  // Records that they were stored.
  void stored(const catalog::Host& host, uint64_t size);

  // Alerts: a limit is reached, or nearly; they name the host that stored most recently.
  std::vector<alerts::Condition> conditions();

 private:
  static constexpr size_t kHours = 24;
  struct Volume {
    catalog::TenantName tenant;
    std::string name;
    std::array<uint64_t, kHours> stored{};  // bytes per hour, as a ring
    uint64_t hour = 0;                      // the newest one
  };
  struct StoreSize {
    uint64_t bytes = 0;
    Clock::time_point seen;
  };
  struct State {
    std::map<catalog::HostId, Volume> volumes;
    std::map<catalog::TenantName, StoreSize> stores;  // by tenant
    // Bytes: the largest request that was refused because of the reserve, until there is room for
    // it.
    uint64_t refused_size = 0;
  };

  uint64_t hour_now() const;
  static uint64_t sum(Volume& volume, uint64_t hour);
  uint64_t store_size(const catalog::TenantName& tenant);
  void require_reserve(uint64_t size);
  std::string busiest_host(
      const catalog::TenantName& tenant);  // "; most of late came from …", or empty

  catalog::TenantRecords& catalog_;
  const std::vector<std::string> directories_;
  const SpaceLimits limits_;
  const Sources sources_;
  base::Guarded<State> state_;
  base::Guarded<uint64_t> claimed_{0};  // bytes held by claims
};

// Forwards everything to `below`, after the guard has allowed it.
std::unique_ptr<images::StoreSink> guarded_sink(std::unique_ptr<images::StoreSink> below,
                                                SpaceGuard& guard, const catalog::Host& host);

// Bytes that the files below a directory take on the disk. Files that vanish meanwhile are not
// counted.
uint64_t size_on_disk(const std::string& directory);

}  // namespace appliance::ingest
