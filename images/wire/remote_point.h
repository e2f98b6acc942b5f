// The reading end of the transfer protocol (docs/protocol.md, "A session that reads"): one point of an
// appliance, as far as an order's ticket lets this host read it.
//
// Thread-safe. Threads: each call of a DiskReader asks and waits; up to kMaxReadRequests calls are
// answered at a time, in any order, so several threads are needed to keep the connection busy. A
// thread of its own reads the answers. Memory: the compressed chunks of the calls that wait, at most
// kReadRequestSize of plaintext each, and kCachedLists lists of ids for each disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/byte_stream.h"
#include "images/chunk_hasher.h"
#include "images/disk_reader.h"
#include "images/wire/read_format.h"

namespace images {

// A request asks for no more plaintext, except that it asks for one chunk. Bytes.
constexpr uint64_t kReadRequestSize = 4ull << 20;

constexpr size_t kMaxChanges = 4 << 20;  // of a disk: 32 MiB of numbers

// Who compares chunks that arrive with their ids.
enum class ChunkCheck {
  on_arrival,
  // The caller writes what it reads somewhere, reads that back and compares it with chunk_ids(): to
  // hash it twice would cost a restore a fifth of its time.
  by_caller,
};

class RemotePoint {
 public:
  // Uses the connection up: nothing has been sent on it. Throws unauthorized if the ticket is not
  // (or no longer) valid for this host, unsupported if the other side speaks no version that reads,
  // and the errors of ByteStream.
  static std::shared_ptr<RemotePoint> open(std::unique_ptr<base::ByteStream> stream,
                                           const wire::Ticket& ticket,
                                           const wire::Versions& versions = {});
  virtual ~RemotePoint() = default;

  // Without keys of disks, and without a definition unless has_definition().
  virtual const Point& point() const = 0;
  virtual bool has_definition() const = 0;
  virtual const ChunkHasher& hasher() const = 0;

  // Throws not_found. The reader keeps the connection open. Its calls throw what the appliance
  // answered, unavailable when the connection broke, and corrupt if a chunk cannot be decoded, or
  // does not match its id and `check` is on_arrival;
  // after a failure of the connection every call throws it.
  virtual std::unique_ptr<DiskReader> open_disk(std::string_view name,
                                                ChunkCheck check = ChunkCheck::on_arrival) = 0;

  // The older point that this one can be compared with; none: it cannot.
  virtual std::optional<PointId> base() const = 0;
  // The chunks of the disk that differ from the base's, ascending. None if there is no base, or they
  // are more than kMaxChanges: then the disk is better compared as a whole. Throws as reads do.
  virtual std::optional<std::vector<uint64_t>> changes(std::string_view disk) = 0;

  // Bytes of frames that arrived so far.
  virtual uint64_t received_size() const = 0;
};

}  // namespace images
