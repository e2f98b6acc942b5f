// A recovery point, as values. On disk it is a manifest (store_format.h, docs/format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "images/ids.h"

namespace images {

enum class Consistency {
  crash,        // the state after a power cut
  file_system,  // file systems frozen by the guest agent
  application,  // the same, and the guest's own hooks ran
};
std::string_view consistency_name(Consistency consistency);
Consistency consistency_from_name(std::string_view name);  // throws invalid_argument

enum class Firmware { unknown, bios, uefi };
std::string_view firmware_name(Firmware firmware);
Firmware firmware_from_name(std::string_view name);  // throws invalid_argument

struct NetworkCard {
  std::string mac;      // "52:54:00:12:34:56"; may be empty
  std::string model;    // "virtio", "e1000e"; may be empty
  std::string network;  // what it was connected to, for people
};

// The computer around the disks. A machine known only by an image file has a minimal definition:
// firmware unknown, no CPUs, no memory, no libvirt XML; the appliance then chooses sensible values.
struct MachineDefinition {
  Firmware firmware = Firmware::unknown;
  uint32_t cpu_count = 0;
  uint64_t memory_size = 0;  // bytes
  std::vector<NetworkCard> network_cards;
  // The domain as its host defined it (virsh dumpxml --inactive); may be empty.
  std::string libvirt_xml;
  // Small state that is kept outside the disks: UEFI variables, TPM state. Name → content.
  std::vector<std::pair<std::string, base::Bytes>> state_files;
};

// The largest disk a store takes: 64 TiB.
constexpr uint64_t kMaxDiskSize = 1ull << 46;

struct PointDisk {
  std::string name;   // "vda"
  uint64_t size = 0;  // bytes, a multiple of 512
  ChunkId root;       // of its Merkle tree; zero for a disk of zeros
  DiskKey key;
};

// A point's time (`time_ms`, milliseconds since 1970 in UTC) is when the appliance, or another
// writer of the store, committed it, by its own clock. The host's clock may be wrong, or lie: its
// time is recorded and shown, and decides nothing. And since the writer's own clock may be wrong
// too, the sequence of points does not depend on any clock: `order` increases with every point of a
// machine.
struct PointDates {
  uint64_t host_time_ms = 0;   // the instant of the image, by the host's clock
  uint64_t order = 0;          // on the machine's timeline; precedes the id
  bool dated_by_host = false;  // an old manifest: its only time is the host's
  bool host_clock_wrong =
      false;  // the host's time cannot be true, by more than kPointClockTolerance_ms

  bool operator==(const PointDates&) const = default;
};

// How much the clocks of a host and the appliance may differ before it is reported.
constexpr uint64_t kPointClockTolerance_ms = 2 * 60'000;
// The last millisecond of the year 9999: no time of a point is later.
constexpr uint64_t kLatestTime_ms = 253'402'300'799'999;

// Whether the host's time cannot be true: it is after `received_ms`, or further before it than the
// sync took.
bool is_host_clock_wrong(uint64_t host_time_ms, uint64_t received_ms, uint64_t duration_ms);

// "the host's clock was 300 d 2 h ahead", "… behind"; empty if nothing is wrong.
std::string clock_note(uint64_t time_ms, const PointDates& dates);

// A point dated only by its host, and into the future, does not count as the newest: nobody knows
// when it arrived. Points received since then follow it in any case.
inline bool is_dated_ahead(uint64_t time_ms, const PointDates& dates, uint64_t now_ms) {
  return dates.dated_by_host && time_ms > now_ms;
}

// The newest of points that are in timeline order; `points.end()` for none.
template <typename Points>
auto newest_of(const Points& points, uint64_t now_ms) {
  auto newest = points.end();
  for (auto point = points.begin(); point != points.end(); ++point) {
    if (newest == points.end() || !is_dated_ahead(point->time_ms, point->dates, now_ms) ||
        is_dated_ahead(newest->time_ms, newest->dates, now_ms))
      newest = point;
  }
  return newest;
}

// The store in which a point was made, and its id there. A copy in another store is the same point:
// it keeps its id, its dates and its place on the machine's timeline, so that what is known about
// one (a verdict, a hold) is known about the other.
struct PointOrigin {
  StoreId store;
  PointId point;

  bool operator==(const PointOrigin&) const = default;
};

// Where a point comes from, as far as its manifest says.
struct PointLineage {
  // The point whose changes this point's sync sent. It may have been deleted. None: a full sync, or
  // unknown.
  std::optional<PointId> parent;
  std::optional<PointOrigin> origin;  // none: made in the store where it is

  bool operator==(const PointLineage&) const = default;
};

// What the sync that made the point did.
struct SyncFigures {
  uint64_t bytes_read = 0;    // from the source disks
  uint64_t bytes_sent = 0;    // over the network, or handed to the store
  uint64_t bytes_stored = 0;  // appended to packs
  uint64_t duration_ms = 0;
  uint64_t frozen_ms = 0;  // how long the guest's file systems were frozen
};

struct Point {
  PointId id;
  MachineId machine;
  std::string machine_name;
  std::string host;      // where it was captured; may be empty
  uint64_t time_ms = 0;  // when it was received: see PointDates
  PointDates dates;
  Consistency consistency = Consistency::crash;
  MachineDefinition definition;
  std::vector<PointDisk> disks;
  SyncFigures figures;
  std::string note;  // about change tracking, for people
  PointLineage lineage;

  // Throws not_found, naming the existing disks.
  const PointDisk& disk(std::string_view name) const;
};

// What lists show, available without reading manifests.
struct PointSummary {
  PointId id;
  MachineId machine;
  std::string machine_name;
  uint64_t time_ms = 0;  // when it was received: see PointDates
  uint64_t size = 0;     // of all disks together, bytes
  Consistency consistency = Consistency::crash;
  PointDates dates;
  PointLineage lineage = {};
};

}  // namespace images
