// The sending end of the transfer protocol (docs/protocol.md). Each function takes a new connection
// on which nothing has been sent, and uses it up. Errors: what the receiver answers, with its code
// and sentence (unauthorized, no_space, busy, …), and those of ByteStream.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_stream.h"
#include "images/point_sink.h"
#include "images/wire/transfer_format.h"

namespace images {

// The newest committed point of a machine on the other side; none if it has no point yet.
std::optional<wire::LastPoint> query_last_point(std::unique_ptr<base::ByteStream> stream,
                                                const std::string& machine_name,
                                                const wire::Versions& versions = {});

// All points of a machine on the other side, in the order of its timeline. Throws unsupported if
// the other side speaks version 1.
std::vector<PointSummary> list_points(std::unique_ptr<base::ByteStream> stream,
                                      const std::string& machine_name,
                                      const wire::Versions& versions = {});

// A sink for a new point on the other side. send() returns when the batch has been sent; up to
// kMaxBatchesInFlight batches are in flight: one per calling thread, and those the receiver has not
// yet stored. Memory: one frame per calling thread. A thread of its own reads the answers. After a
// failure every call throws it. commit() throws unsupported for a copy of a point if the other side
// speaks version 1.
std::unique_ptr<PointSink> open_remote_sink(std::unique_ptr<base::ByteStream> stream,
                                            const SyncPlan& plan,
                                            const wire::Versions& versions = {});

}  // namespace images
