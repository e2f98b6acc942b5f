// Serves one point to a host that may read it (docs/protocol.md, "A session that reads"), after
// READ_POINT. Private to the transfer server, except OpenedPoint.
//
// Memory: kMaxReadRequests requests, and for each worker one frame of about a MiB, or one chunk if
// that is more. Threads: the caller's reads, kReadWorkers look up and send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "images/chunk_hasher.h"
#include "images/disk_reader.h"
#include "images/point.h"
#include "images/wire/frame_channel.h"

namespace images {

constexpr size_t kReadWorkers = 2;

// What one session may read. The readers keep the point from being deleted; `disks` are those of
// `point`, in its order, and no others can be read.
struct OpenedPoint {
  Point point;
  bool tells_definition = false;
  ChunkHasher hasher{4096};
  std::shared_ptr<void> keeps;  // whatever the readers need
  std::vector<std::unique_ptr<DiskReader>> disks;
  // An older point with disks of the same names and sizes, in the same order, which the readers keep
  // from being deleted; none: LIST_CHANGES is refused.
  std::optional<PointId> base{};
  std::vector<std::unique_ptr<DiskReader>> base_disks{};
};

// Returns when the peer ends the connection. Throws as serve_transfer(); no thread is left then.
void serve_point(FrameChannel& channel, OpenedPoint& opened, std::chrono::milliseconds idle_limit);

}  // namespace images
