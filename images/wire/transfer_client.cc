#include "images/wire/transfer_client.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "images/wire/client_greeting.h"
#include "images/wire/frame_channel.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

class RemoteSink : public PointSink {
 public:
  RemoteSink(std::unique_ptr<base::ByteStream> stream, const SyncPlan& plan,
             const wire::Versions& versions)
      : stream_(std::move(stream)), channel_(*stream_), version_(greet(channel_, versions)),
        hasher_(open(channel_, plan, version_)) {
    reader_ = std::thread([this] {
      // If even this failure cannot be reported, there is no reader left: the connection must not
      // stay open.
      if (!base::run_guarded("the transfer's reader", [&] { read_answers(); })) stream_->abort();
    });
  }

  ~RemoteSink() override {
    stream_->abort();
    reader_.join();
  }

  const ChunkHasher& hasher() const override { return hasher_; }

  void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) override {
    wait_for_room(batch);
    write(wire::encode(batch));
    std::vector<bool> wanted = wait_for_need(batch.sequence);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) continue;
      EncodedChunk chunk = encode(i);
      write(wire::encode(
          wire::Data{batch.sequence, static_cast<uint32_t>(i), chunk.codec, chunk.bytes}));
      bytes_sent_ += chunk.bytes.size();
    }
  }

  SinkProgress progress() const override { return {bytes_sent_, bytes_stored_}; }

  PointId commit(const PointDetails& details) override {
    PointDetails complete = details;
    if (!details.lineage.origin) complete.figures.bytes_sent = bytes_sent_;
    base::Bytes frame = wire::encode(complete, version_);
    wait([](const State& state) { return state.unstored.empty(); });
    write(frame);
    wait([](const State& state) { return state.committed.has_value(); });
    stream_->finish();
    auto state = state_.lock();
    bytes_stored_ = state->committed->bytes_stored;
    return state->committed->id;
  }

 private:
  // An offer whose answer send() is waiting for.
  struct Question {
    size_t place_count = 0;
    std::optional<std::vector<bool>> wanted;
  };
  struct State {
    std::map<uint64_t, Question> questions;
    std::map<uint64_t, bool> unstored;  // batches in progress; whether their offer was answered
    uint64_t floor = 0;                 // every smaller batch is stored
    std::set<uint64_t> stored;          // those above it that are
    std::optional<wire::Committed> committed;
    std::optional<Error> failure;
  };

  static ChunkHasher open(FrameChannel& channel, const SyncPlan& plan, uint16_t version) {
    channel.write(wire::encode(plan));
    wire::Ready ready =
        wire::decode_ready(expect_frame(channel, wire::FrameType::ready).payload, version);
    return ChunkHasher(ready.chunk_size, ready.id_key);
  }

  // Waits until `ready(state)` is true; throws the first failure.
  template <typename Ready>
  void wait(Ready ready) {
    auto state = state_.lock();
    state.wait(changed_, [&] { return state->failure || ready(*state); });
    if (state->failure && !ready(*state)) throw *state->failure;
  }

  // The receiver accepts kMaxBatchesInFlight batches, counted from the smallest one that it has not
  // stored.
  void wait_for_room(const Batch& batch) {
    if (batch.places.size() > kMaxBatchPlaces) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a batch has {} places", batch.places.size()));
    }
    wait([&](const State& state) { return batch.sequence < state.floor + kMaxBatchesInFlight; });
    auto state = state_.lock();
    state->questions[batch.sequence].place_count = batch.places.size();
    state->unstored.emplace(batch.sequence, false);
  }

  std::vector<bool> wait_for_need(uint64_t sequence) {
    wait([&](const State& state) { return state.questions.at(sequence).wanted.has_value(); });
    return *state_.lock()->questions.extract(sequence).mapped().wanted;
  }

  // If the peer refuses and closes, writing already fails while its reason is still on the way to
  // the reader.
  void write(base::ByteView frame) {
    try {
      channel_.write(frame);
    } catch (const Error&) {
      constexpr auto kPatience = std::chrono::seconds(5);
      auto state = state_.lock();
      state.wait_for(changed_, kPatience, [&] { return state->failure.has_value(); });
      if (state->failure) throw *state->failure;
      throw;
    }
  }

  void read_answers() {
    try {
      while (std::optional<Frame> frame = channel_.next()) on_frame(*frame);
      fail(Error(ErrorCode::unavailable, stream_->peer() + " ended the connection"));
    } catch (const Error& error) {
      fail(error);
    } catch (const std::exception& error) {
      fail(Error(ErrorCode::io, std::string("unexpected failure: ") + error.what()));
    }
  }

  // A peer that has ended its side may leave its window closed for as long as its kernel remembers
  // the connection: a writer would wait as long.
  void fail(const Error& error) {
    {
      auto state = state_.lock();
      if (!state->failure) state->failure = error;
      changed_.notify_all();
    }
    stream_->abort();
  }

  void on_frame(const Frame& frame) {
    const std::string& peer = stream_->peer();
    auto state = state_.lock();
    switch (frame.type) {
      case wire::FrameType::need: take_need(*state, wire::decode_need(frame.payload)); break;
      case wire::FrameType::done: take_done(*state, wire::decode_done(frame.payload)); break;
      case wire::FrameType::committed:
        state->committed = wire::decode_committed(frame.payload, version_);
        break;
      case wire::FrameType::error: throw wire::decode_error(frame.payload).with_context(peer);
      default:
        throw Error(ErrorCode::corrupt,
                    fmt::format("{} sent a frame of type {}", peer, static_cast<int>(frame.type)));
    }
    changed_.notify_all();
  }

  void take_need(State& state, wire::Need need) {
    auto question = state.questions.find(need.sequence);
    auto batch = state.unstored.find(need.sequence);
    bool good = question != state.questions.end() && batch != state.unstored.end() &&
                !batch->second && question->second.place_count == need.wanted.size();
    if (!good)
      throw Error(ErrorCode::corrupt, stream_->peer() + " answered an offer that was not made");
    question->second.wanted = std::move(need.wanted);
    batch->second = true;
  }

  void take_done(State& state, uint64_t sequence) {
    auto batch = state.unstored.find(sequence);
    if (batch == state.unstored.end() || !batch->second) {
      throw Error(ErrorCode::corrupt, stream_->peer() + " finished a batch that it did not have");
    }
    state.unstored.erase(batch);
    state.stored.insert(sequence);
    while (state.stored.erase(state.floor) == 1) ++state.floor;
  }

  std::unique_ptr<base::ByteStream> stream_;
  FrameChannel channel_;
  const uint16_t version_;  // that is spoken
  ChunkHasher hasher_;
  std::atomic<uint64_t> bytes_sent_{0}, bytes_stored_{0};
  base::Guarded<State> state_;
  std::condition_variable changed_;
  std::thread reader_;
};

}  // namespace

std::optional<wire::LastPoint> query_last_point(std::unique_ptr<base::ByteStream> stream,
                                                const std::string& machine_name,
                                                const wire::Versions& versions) {
  FrameChannel channel(*stream);
  uint16_t version = greet(channel, versions);
  channel.write(wire::encode(wire::Query{machine_name}));
  auto answer =
      wire::decode_last_point(expect_frame(channel, wire::FrameType::last_point).payload, version);
  stream->finish();
  return answer;
}

std::vector<PointSummary> list_points(std::unique_ptr<base::ByteStream> stream,
                                      const std::string& machine_name,
                                      const wire::Versions& versions) {
  FrameChannel channel(*stream);
  if (greet(channel, versions) == 1) {
    throw Error(ErrorCode::unsupported,
                stream->peer() +
                    " speaks version 1 of the transfer protocol, which cannot list points: update "
                    "it");
  }
  std::vector<PointSummary> all;
  wire::ListPoints question{machine_name, std::nullopt};
  for (bool more = true; more;) {
    channel.write(wire::encode(question));
    wire::Points page = wire::decode_points(expect_frame(channel, wire::FrameType::points).payload);
    more = page.more;
    if (more && page.points.empty())
      throw Error(ErrorCode::corrupt, stream->peer() + " has more points, and tells none");
    all.insert(all.end(), page.points.begin(), page.points.end());
    if (!all.empty()) question.after = wire::TimelinePlace{all.back().dates.order, all.back().id};
  }
  for (PointSummary& point : all) point.machine_name = machine_name;
  stream->finish();
  return all;
}

std::unique_ptr<PointSink> open_remote_sink(std::unique_ptr<base::ByteStream> stream,
                                            const SyncPlan& plan, const wire::Versions& versions) {
  return std::make_unique<RemoteSink>(std::move(stream), plan, versions);
}

}  // namespace images
