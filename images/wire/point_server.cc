#include "images/wire/point_server.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <thread>
#include <variant>

#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "images/wire/read_format.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

// Frames are sent together until they have this size: a TLS record for each small chunk would cost
// more than the chunk. Bytes.
constexpr size_t kTogether = 512 << 10;

class PointServer {
 public:
  PointServer(FrameChannel& channel, OpenedPoint& opened) : channel_(channel), opened_(opened) {
    for (size_t i = 0; i < kReadWorkers; ++i) workers_.emplace_back([this] { work(); });
  }
  ~PointServer() {
    state_.lock()->stopping = true;
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  // Whether the peer waits for this side. Throws the failure of a worker.
  bool is_answering() {
    throw_failure();
    return state_.lock()->unanswered > 0;
  }

  void run() {
    while (std::optional<Frame> frame = channel_.next()) {
      take(request_of(*frame));
      throw_failure();
    }
    // The peer ends its side when it has all it asked for; what it did not wait for is not sent.
    throw_failure();
  }

 private:
  using Request = std::variant<wire::ListChunks, wire::GetChunks, wire::ListChanges>;
  struct State {
    std::deque<std::unique_ptr<Request>> waiting;
    uint64_t next_request = 0;
    size_t unanswered = 0;
    bool stopping = false;
    std::optional<Error> failure;
  };

  // Validated: what it names is in the point.
  Request request_of(const Frame& frame) {
    if (frame.type == wire::FrameType::error) throw wire::decode_error(frame.payload);
    if (frame.type == wire::FrameType::list_chunks) {
      wire::ListChunks list = wire::decode_list_chunks(frame.payload);
      uint64_t chunk_count = count_of(list.disk);
      if (list.first >= chunk_count || list.count > chunk_count - list.first)
        throw Error(ErrorCode::invalid_argument, "LIST_CHUNKS asks beyond the end of the disk");
      return list;
    }
    if (frame.type == wire::FrameType::list_changes) {
      wire::ListChanges list = wire::decode_list_changes(frame.payload);
      if (!opened_.base)
        throw Error(ErrorCode::invalid_argument, "LIST_CHANGES for a point without a base");
      if (list.first >= count_of(list.disk))
        throw Error(ErrorCode::invalid_argument, "LIST_CHANGES asks beyond the end of the disk");
      return list;
    }
    if (frame.type != wire::FrameType::get_chunks) {
      throw Error(ErrorCode::invalid_argument,
                  "after READ_POINT, only LIST_CHUNKS and GET_CHUNKS may follow");
    }
    wire::GetChunks get = wire::decode_get_chunks(frame.payload);
    if (get.chunks.back() >= count_of(get.disk))
      throw Error(ErrorCode::invalid_argument, "GET_CHUNKS asks beyond the end of the disk");
    return get;
  }

  uint64_t count_of(uint32_t disk) const {
    if (disk >= opened_.disks.size())
      throw Error(ErrorCode::invalid_argument, fmt::format("there is no disk number {}", disk));
    const uint64_t chunk_size = opened_.hasher.chunk_size();
    return (opened_.disks[disk]->size() + chunk_size - 1) / chunk_size;
  }

  void take(Request request) {
    uint64_t number = std::visit([](const auto& each) { return each.request; }, request);
    auto state = state_.lock();
    if (number != state->next_request)
      throw Error(ErrorCode::invalid_argument, "requests are not numbered in sequence");
    if (state->unanswered == wire::kMaxReadRequests) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("more than {} requests wait for their answer", wire::kMaxReadRequests));
    }
    ++state->next_request;
    ++state->unanswered;
    state->waiting.push_back(std::make_unique<Request>(std::move(request)));
    changed_.notify_one();
  }

  void work() {
    try {
      while (std::unique_ptr<Request> request = next()) {
        std::visit([this](const auto& each) { answer(each); }, *request);
      }
    } catch (const Error& error) {
      fail(error);
    } catch (const std::exception& error) {
      fail(Error(ErrorCode::io, std::string("unexpected failure: ") + error.what()));
    }
  }

  // Null: there is nothing more to do.
  std::unique_ptr<Request> next() {
    auto state = state_.lock();
    state.wait(changed_,
               [&] { return state->stopping || state->failure || !state->waiting.empty(); });
    if (state->stopping || state->failure) return nullptr;
    std::unique_ptr<Request> request = std::move(state->waiting.front());
    state->waiting.pop_front();
    return request;
  }

  // The last frame of an answer. The peer may ask again as soon as it has it, so it is counted first.
  void finish_answer(base::ByteView frames) {
    --state_.lock()->unanswered;
    channel_.write(frames);
  }

  void answer(const wire::ListChunks& list) {
    std::vector<ChunkId> ids = opened_.disks[list.disk]->chunk_ids(list.first, list.count);
    finish_answer(wire::encode(wire::Chunks{list.request, std::move(ids)}));
  }

  void answer(const wire::ListChanges& list) {
    DiskChanges changes = opened_.disks[list.disk]->changes_since(
        opened_.base_disks[list.disk]->disk(), list.first, wire::kMaxListedChanges);
    finish_answer(
        wire::encode(wire::Changes{list.request, changes.next, std::move(changes.chunks)}));
  }

  void answer(const wire::GetChunks& get) {
    DiskReader& disk = *opened_.disks[get.disk];
    base::Bytes frames, buffer;
    for (size_t place = 0; place < get.chunks.size(); ++place) {
      EncodedChunk chunk = disk.encoded_chunk(get.chunks[place], buffer);
      if (chunk.bytes.empty()) {
        throw Error(ErrorCode::invalid_argument,
                    "GET_CHUNKS asks for a chunk that CHUNKS calls a chunk of zeros");
      }
      base::Bytes frame = wire::encode(
          wire::Data{get.request, static_cast<uint32_t>(place), chunk.codec, chunk.bytes});
      frames.insert(frames.end(), frame.begin(), frame.end());
      if (place + 1 == get.chunks.size()) return finish_answer(frames);
      if (frames.size() < kTogether) continue;
      channel_.write(frames);
      frames.clear();
    }
  }

  // Ends the session from a worker: the reader learns of it when its stream ends, or within 15 s.
  void fail(const Error& error) {
    {
      auto state = state_.lock();
      if (!state->failure) state->failure = error;
      changed_.notify_all();
    }
    channel_.end_with(error);
  }

  void throw_failure() {
    auto state = state_.lock();
    if (state->failure) throw *state->failure;
  }

  FrameChannel& channel_;
  OpenedPoint& opened_;
  base::Guarded<State> state_;
  std::condition_variable changed_;
  std::vector<std::thread> workers_;  // last: they use everything above
};

}  // namespace

void serve_point(FrameChannel& channel, OpenedPoint& opened, std::chrono::milliseconds idle_limit) {
  wire::ReadablePoint answer;
  answer.chunk_size = opened.hasher.chunk_size();
  answer.id_key = opened.hasher.id_key();
  answer.point = opened.point;
  answer.has_definition = opened.tells_definition;
  answer.base = opened.base;
  channel.write(wire::encode(answer));
  PointServer server(channel, opened);
  channel.expect_frames(idle_limit, [&] { return server.is_answering(); });
  server.run();
  channel.expect_frames({});
}

}  // namespace images
