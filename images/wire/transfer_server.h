// The receiving end of the transfer protocol (docs/protocol.md): serves one connection into a
// store. Independent of TLS and the daemon.
//
// Memory of one session: at most kSessionWindow of requested chunks, or one batch if that is more;
// one frame; and one more batch for each worker while it is stored. Threads of one session: the
// caller's reads; kTransferWorkers look up, verify and store chunks.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_stream.h"
#include "images/point_sink.h"
#include "images/wire/point_server.h"
#include "images/wire/read_format.h"
#include "images/wire/transfer_format.h"

namespace images {

constexpr uint64_t kSessionWindow = 16ull << 20;  // bytes
constexpr size_t kTransferWorkers = 2;
constexpr size_t kMaxQueries = 64;  // of one connection

// What the protocol needs from the owner of the store. Created for one connection: it knows who the
// peer is. last_point(), points() and begin() are called by the session's thread, the others by any
// of its workers. What they throw is sent to the peer and ends the session.
class TransferHost {
 public:
  virtual ~TransferHost() = default;

  // Throws unauthorized unless the peer may currently add points to this machine. Called before
  // anything is revealed about the machine, and again before its point is committed.
  virtual void authorize(const std::string& machine_name) = 0;

  // The newest committed point of the machine; none if it has no point yet.
  virtual std::optional<wire::LastPoint> last_point(const std::string& machine_name) = 0;

  // All points of the machine, in the order of its timeline.
  virtual std::vector<PointSummary> points(const std::string& machine_name) = 0;

  // Throws unauthorized unless the peer may add copies of points that were made elsewhere, with their
  // ids and dates (PointDetails). Called after authorize(), before such a point is committed.
  virtual void authorize_copy(const PointOrigin& origin) = 0;

  // A sink for one new point. The session destroys it before it returns.
  virtual std::unique_ptr<StoreSink> begin(const SyncPlan& plan) = 0;

  // Called from time to time while chunks arrive. Must be quick.
  virtual void on_progress(const SinkProgress& progress) = 0;

  // The point is committed and durable; the peer has not been told yet. A throw makes the peer
  // believe that the commit failed; the point stays.
  virtual void on_commit(const PointId& id, const PointDetails& details) = 0;

  // The point that this ticket lets the peer read, which must outlive the call only in what it
  // keeps itself. Throws unauthorized, which is what everyone is told that no order was given to.
  virtual std::unique_ptr<OpenedPoint> open_point(const wire::Ticket& ticket);
};

struct TransferServerOptions {
  uint64_t window_size = kSessionWindow;  // bytes
  // A peer that keeps its session open only with PING and PONG is disconnected, because it takes
  // another's place. An honest one offers a batch for each 64 MiB that it has read.
  std::chrono::milliseconds opening_limit =
      std::chrono::seconds(60);                                    // from the first byte to OPEN
  std::chrono::milliseconds idle_limit = std::chrono::minutes(5);  // then between two frames
  // Of a session that reads: between two requests its host may hash a disk, or wait for one.
  std::chrono::milliseconds reading_limit = std::chrono::minutes(30);
  wire::Versions versions;
};

// Serves the connection to its end and returns if the peer ended it cleanly: after queries, or
// after a commit. Otherwise throws the failure that ended it (the peer was told as far as
// possible): unavailable if the peer disconnected, invalid_argument or corrupt if it broke the
// protocol, cancelled after stream.abort(), or what the host or the sink threw. No thread of the
// session is left then.
void serve_transfer(base::ByteStream& stream, TransferHost& host,
                    const TransferServerOptions& options = {});

}  // namespace images
