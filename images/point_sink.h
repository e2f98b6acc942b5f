// Where a sync puts a new point: into a store on this machine (store_writer.h) or, over the wire,
// into an appliance's (transfer_client.h). The same calls, so that capture does not know which.
// tests/images/point_sink_contract.cc runs on every implementation.
//
// A sync: the sink is made by its owner with a SyncPlan → send() for every batch of places, in any
// order and by several threads → commit(). Nothing is visible before commit() returns; destroying
// the sink without it discards the point (chunks that arrived may be kept for the next attempt).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "images/chunk_hasher.h"
#include "images/ids.h"
#include "images/point.h"
#include "images/point_marks.h"

namespace images {

struct PlannedDisk {
  std::string name;
  uint64_t size = 0;  // bytes, a multiple of 512
  // The base point: wherever the sync sends nothing, the disk has its content. None: zeros.
  std::optional<PointId> base;
};

struct SyncPlan {
  std::string machine_name;
  std::vector<PlannedDisk> disks;  // 1 to 64, names unique
};

// The dates of a point in the store where it was made; a copy keeps them.
struct FirstDates {
  uint64_t time_ms = 0;
  uint64_t order = 0;
  bool dated_by_host = false;
  bool host_clock_wrong = false;

  bool operator==(const FirstDates&) const = default;
};
// Within the years and the orders that points may have.
inline bool is_possible(const FirstDates& dates) {
  return dates.time_ms <= kLatestTime_ms && dates.order >> 63 == 0;
}

// What is known only at the end.
struct PointDetails {
  std::string host;
  uint64_t time_ms = 0;  // the time of the image by the host's clock; the committer dates the point
  Consistency consistency = Consistency::crash;
  MachineDefinition definition;
  SyncFigures figures;  // bytes_sent and bytes_stored are filled in by the sink
  std::string note;
  // A person stated when the images were taken: no host's clock is judged by it.
  bool dated_by_person = false;
  // If no parent is given, the sink sets it to the base of the plan's first disk that has one. With
  // an origin the point is a copy (point_copy.h): id, dates, lineage and figures are as given here.
  // Origin and first_dates are given together or not at all.
  PointLineage lineage;
  std::optional<FirstDates> first_dates;
  // Of a copy: what is known about the point where it was copied from.
  PointMarks marks;
};

// `count` chunks starting with chunk number `index` of a disk have this content. count > 1 only for
// zeros.
struct PlacedChunk {
  uint64_t index = 0;
  uint64_t count = 1;
  ChunkId id;  // zero: zeros

  bool operator==(const PlacedChunk&) const = default;
};

enum class Codec : uint8_t { raw = 0, zstd = 1 };

// A chunk's plaintext as it is sent and stored: compressed if that made it smaller. The bytes
// belong to someone else.
struct EncodedChunk {
  Codec codec = Codec::raw;
  base::ByteView bytes;
};

// Places of one disk, ascending and without overlaps. Batches are numbered 0, 1, 2, … per sync
// without gaps; a batch's places of a disk follow those of every earlier batch of that disk. At
// most kMaxBatchPlaces places, so that both ends have bounded memory.
constexpr size_t kMaxBatchPlaces = 256;
constexpr size_t kMaxBatchesInFlight = 16;

struct Batch {
  uint64_t sequence = 0;
  uint32_t disk = 0;  // its number in the plan
  std::vector<PlacedChunk> places;
};

struct SinkProgress {
  uint64_t bytes_sent = 0;
  uint64_t bytes_stored = 0;  // known to a local sink; a remote one learns it at commit
};

class PointSink {
 public:
  virtual ~PointSink() = default;

  // How this store divides and names chunks. Valid as long as the sink.
  virtual const ChunkHasher& hasher() const = 0;

  // Hands over one batch. For each place whose chunk the store lacks, `encode(i)` is called (on
  // this thread, once) for the content of places[i]; its result must stay valid until send()
  // returns. Returns when the batch is handed over; bytes may still be in flight until commit().
  // May be called by any number of threads; at most kMaxBatchesInFlight batches beyond the smallest
  // sequence that is not yet handed over. Throws unavailable, no_space, …: then the sync has
  // failed.
  virtual void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) = 0;

  virtual SinkProgress progress() const = 0;

  // Makes the point durable and visible, and returns its id. Call it once, after all send() calls
  // returned. Throws already_exists for a copy of a point that is already there.
  virtual PointId commit(const PointDetails& details) = 0;
};

// A sink into a store of this process: it can be asked what it lacks before anything is sent, which
// is what the receiving end of the transfer protocol does. Over the wire that question is part of
// send().
class StoreSink : public PointSink {
 public:
  // Which of these chunks the store lacks (zero ids never). The answer holds until the sink is
  // gone. Any number of threads.
  virtual std::vector<bool> lacking(std::span<const PlacedChunk> places) = 0;
};

}  // namespace images
