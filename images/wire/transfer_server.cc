#include "images/wire/transfer_server.h"

#include <fmt/format.h>

#include <chrono>
#include <tuple>

#include "base/error.h"
#include "base/text.h"
#include "images/wire/frame_channel.h"
#include "images/wire/transfer_ingest.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

// How long, and how much, is still read from a peer that was told why the session ends: closing
// with unread bytes makes the kernel drop what the peer has not yet read.
constexpr std::chrono::milliseconds kLingerTimeout = std::chrono::seconds(5);
constexpr uint64_t kLingerSize = 64ull << 20;  // bytes

void linger(base::ByteStream& stream) noexcept {
  auto deadline = std::chrono::steady_clock::now() + kLingerTimeout;
  try {
    base::Bytes ignored(64 << 10);
    for (uint64_t total = 0; total < kLingerSize;) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      size_t count = left.count() <= 0 ? 0 : stream.read_some(ignored, left);
      if (count == 0) return;
      total += count;
    }
  } catch (const std::exception&) {
    // The peer has disconnected, or waits for us to.
  }
}

Frame expect_frame(FrameChannel& channel) {
  std::optional<Frame> frame = channel.next();
  if (!frame)
    throw Error(ErrorCode::unavailable, channel.stream().peer() + " left without a greeting");
  return *frame;
}

// Returns the version that is spoken from now on.
uint16_t greet(FrameChannel& channel, const wire::Versions& versions) {
  Frame frame = expect_frame(channel);
  if (frame.type != wire::FrameType::hello) {
    throw Error(ErrorCode::invalid_argument, "a session begins with HELLO");
  }
  wire::Hello hello = wire::decode_hello(frame.payload);
  if (hello.newest_version < versions.oldest || hello.oldest_version > versions.newest) {
    throw Error(ErrorCode::unsupported, fmt::format("this side speaks the versions {} to {} of the "
                                                    "transfer protocol, the other one {} to {}: "
                                                    "update the older one",
                                                    versions.oldest, versions.newest,
                                                    hello.oldest_version, hello.newest_version));
  }
  uint16_t version = std::min(hello.newest_version, versions.newest);
  channel.write(wire::encode(wire::Welcome{version, "mulettod " MULETTO_VERSION}));
  return version;
}

void authorize(TransferHost& host, const std::string& machine_name) {
  base::check_name(machine_name, "machine's name");
  host.authorize(machine_name);
}

void answer_query(FrameChannel& channel, TransferHost& host, const Frame& frame, uint16_t version) {
  wire::Query query = wire::decode_query(frame.payload, version);
  authorize(host, query.machine_name);
  channel.write(wire::encode(host.last_point(query.machine_name)));
}

void answer_list(FrameChannel& channel, TransferHost& host, const Frame& frame) {
  wire::ListPoints list = wire::decode_list_points(frame.payload);
  authorize(host, list.machine_name);
  wire::Points answer;
  for (PointSummary& point : host.points(list.machine_name)) {
    auto place = std::tie(point.dates.order, point.id);
    if (list.after && place <= std::tie(list.after->order, list.after->id)) continue;
    answer.more = answer.points.size() == wire::kMaxListedPoints;
    if (answer.more) break;
    answer.points.push_back(std::move(point));
  }
  channel.write(wire::encode(answer));
}

void ingest(FrameChannel& channel, TransferHost& host, const Frame& frame, uint16_t version,
            const TransferServerOptions& options) {
  SyncPlan plan = wire::decode_open(frame.payload, version);
  authorize(host, plan.machine_name);
  std::unique_ptr<StoreSink> sink = host.begin(plan);
  wire::Ready ready{sink->hasher().chunk_size(), sink->hasher().id_key()};
  TransferIngest session(channel, version, host, plan, std::move(sink), options.window_size);
  channel.write(wire::encode(ready));
  channel.expect_frames(options.idle_limit, [&] { return session.is_committing(); });
  session.run();
  channel.expect_frames({});
}

void read(FrameChannel& channel, TransferHost& host, const Frame& frame,
          const TransferServerOptions& options) {
  wire::ReadPoint wanted = wire::decode_read_point(frame.payload);
  std::unique_ptr<OpenedPoint> opened = host.open_point(wanted.ticket);
  serve_point(channel, *opened, options.reading_limit);
}

void serve_requests(FrameChannel& channel, TransferHost& host, uint16_t version,
                    const TransferServerOptions& options) {
  for (size_t queries = 0; std::optional<Frame> frame = channel.next(); ++queries) {
    if (frame->type == wire::FrameType::open)
      return ingest(channel, host, *frame, version, options);
    if (version > 2 && frame->type == wire::FrameType::read_point)
      return read(channel, host, *frame, options);
    if (frame->type == wire::FrameType::error) throw wire::decode_error(frame->payload);
    bool lists = version > 1 && frame->type == wire::FrameType::list_points;
    if ((!lists && frame->type != wire::FrameType::query) || queries == kMaxQueries) {
      throw Error(ErrorCode::invalid_argument,
                  "after HELLO, only a few queries, OPEN or READ_POINT may follow");
    }
    if (lists) answer_list(channel, host, *frame);
    else answer_query(channel, host, *frame, version);
  }
}

}  // namespace

std::unique_ptr<OpenedPoint> TransferHost::open_point(const wire::Ticket&) {
  throw Error(ErrorCode::unauthorized, "no order allows this peer to read a point");
}

void serve_transfer(base::ByteStream& stream, TransferHost& host,
                    const TransferServerOptions& options) {
  FrameChannel channel(stream);
  auto give_up = [&](const Error& error) {
    channel.end_with(error);
    linger(stream);
    return error;
  };
  try {
    channel.expect_within(options.opening_limit);
    uint16_t version = greet(channel, options.versions);
    serve_requests(channel, host, version, options);
    stream.finish();
  } catch (const Error& error) {
    throw give_up(error);
  } catch (const std::exception& error) {
    throw give_up(Error(ErrorCode::io, std::string("unexpected failure: ") + error.what()));
  }
}

}  // namespace images
