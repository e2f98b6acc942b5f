#include "images/wire/remote_point.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "base/lru_cache.h"
#include "images/codec.h"
#include "images/wire/client_greeting.h"
#include "images/wire/frame_channel.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kListedTogether = 1024;  // chunks: 64 MiB of disk, 32 KiB of ids
constexpr size_t kCachedLists = 64;
constexpr std::chrono::seconds kFarewell{2};

wire::ReadablePoint begin(FrameChannel& channel, const wire::Ticket& ticket,
                          const wire::Versions& versions) {
  if (greet(channel, versions) < 3) {
    throw Error(
        ErrorCode::unsupported,
        channel.stream().peer() +
            " speaks a version of the transfer protocol that cannot read points: update it");
  }
  channel.write(wire::encode(wire::ReadPoint{ticket}));
  return wire::decode_point(expect_frame(channel, wire::FrameType::point).payload);
}

// The connection: requests and their answers.
class Link {
 public:
  struct Chunk {
    Codec codec = Codec::raw;
    base::Bytes bytes;
  };

  Link(std::unique_ptr<base::ByteStream> stream, const wire::Ticket& ticket,
       const wire::Versions& versions)
      : stream_(std::move(stream)), channel_(*stream_),
        readable_(begin(channel_, ticket, versions)),
        hasher_(readable_.chunk_size, readable_.id_key) {
    reader_ = std::thread([this] {
      if (!base::run_guarded("the restore's reader", [&] { read_answers(); })) stream_->abort();
    });
  }
  ~Link() {
    // In order, so that the other side has nothing to complain about; but not for long.
    stream_->finish();
    {
      auto state = state_.lock();
      state.wait_for(changed_, kFarewell, [&] { return state->failure.has_value(); });
    }
    stream_->abort();
    reader_.join();
  }

  const wire::ReadablePoint& readable() const { return readable_; }
  const ChunkHasher& hasher() const { return hasher_; }
  uint64_t received_size() const { return received_size_; }

  std::vector<ChunkId> list(uint32_t disk, uint64_t first, uint32_t count) {
    auto pending = ask([&](uint64_t request) {
      return std::pair(wire::encode(wire::ListChunks{request, disk, first, count}),
                       Pending{.list_count = count});
    });
    return std::move(pending.ids);
  }

  wire::Changes list_changes(uint32_t disk, uint64_t first) {
    auto pending = ask([&](uint64_t request) {
      return std::pair(wire::encode(wire::ListChanges{request, disk, first}),
                       Pending{.changes_from = first});
    });
    return std::move(pending.changes);
  }

  std::vector<Chunk> get(uint32_t disk, const std::vector<uint64_t>& chunks) {
    auto pending = ask([&](uint64_t request) {
      Pending made;
      made.chunks.resize(chunks.size());
      made.missing = chunks.size();
      return std::pair(wire::encode(wire::GetChunks{request, disk, chunks}), std::move(made));
    });
    return std::move(pending.chunks);
  }

 private:
  struct Pending {
    uint32_t list_count = 0;  // of ids; 0: something else was asked for
    std::optional<uint64_t> changes_from{};
    wire::Changes changes{};
    std::vector<ChunkId> ids;
    std::vector<Chunk> chunks;
    size_t missing = 0;  // of them
    bool done = false;
  };
  struct State {
    std::map<uint64_t, Pending> pending;
    uint64_t next_request = 0;
    std::optional<Error> failure;
  };

  template <typename Make>
  Pending ask(Make make) {
    uint64_t request = 0;
    {
      // Requests have to be sent in the order of their numbers.
      std::lock_guard order(sending_);
      base::Bytes frame;
      {
        auto state = state_.lock();
        state.wait(changed_, [&] {
          return state->failure || state->pending.size() < wire::kMaxReadRequests;
        });
        if (state->failure) throw *state->failure;
        request = state->next_request++;
        auto [bytes, pending] = make(request);
        frame = std::move(bytes);
        state->pending.emplace(request, std::move(pending));
      }
      write(frame);
    }
    auto state = state_.lock();
    state.wait(changed_, [&] { return state->failure || state->pending.at(request).done; });
    if (!state->pending.at(request).done) throw *state->failure;
    Pending pending = std::move(state->pending.at(request));
    state->pending.erase(request);
    changed_.notify_all();
    return pending;
  }

  // If the connection breaks while we write, the reader may know a better reason than the socket.
  void write(base::ByteView frame) {
    try {
      channel_.write(frame);
    } catch (const Error& error) {
      constexpr auto kPatience = std::chrono::seconds(5);
      auto state = state_.lock();
      state.wait_for(changed_, kPatience, [&] { return state->failure.has_value(); });
      if (!state->failure) state->failure = error;
      throw *state->failure;
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

  void fail(const Error& error) {
    {
      auto state = state_.lock();
      if (!state->failure) state->failure = error;
      changed_.notify_all();
    }
    stream_->abort();
  }

  void on_frame(const Frame& frame) {
    received_size_ += wire::kHeaderSize + frame.payload.size();
    switch (frame.type) {
      case wire::FrameType::chunks: return take(wire::decode_chunks(frame.payload));
      case wire::FrameType::changes: return take(wire::decode_changes(frame.payload));
      case wire::FrameType::data: return take(wire::decode_data(frame.payload));
      case wire::FrameType::error:
        throw wire::decode_error(frame.payload).with_context(stream_->peer());
      default:
        throw Error(ErrorCode::corrupt, fmt::format("{} sent a frame of type {}", stream_->peer(),
                                                    static_cast<int>(frame.type)));
    }
  }

  [[noreturn]] void refuse_answer() {
    throw Error(ErrorCode::corrupt, stream_->peer() + " answered a question that was not asked");
  }

  void take(wire::Chunks answer) {
    auto state = state_.lock();
    auto found = state->pending.find(answer.request);
    bool good = found != state->pending.end() && !found->second.done &&
                found->second.list_count == answer.ids.size() && !answer.ids.empty();
    if (!good) refuse_answer();
    found->second.ids = std::move(answer.ids);
    found->second.done = true;
    changed_.notify_all();
  }

  void take(wire::Changes answer) {
    auto state = state_.lock();
    auto found = state->pending.find(answer.request);
    bool good = found != state->pending.end() && !found->second.done &&
                found->second.changes_from && answer.next > *found->second.changes_from &&
                (answer.chunks.empty() || answer.chunks.front() >= *found->second.changes_from);
    if (!good) refuse_answer();
    found->second.changes = std::move(answer);
    found->second.done = true;
    changed_.notify_all();
  }

  void take(const wire::Data& data) {
    if (data.bytes.size() > hasher_.chunk_size())
      throw Error(ErrorCode::corrupt,
                  stream_->peer() + " sent a chunk that is larger than a chunk");
    Chunk chunk{data.codec, {data.bytes.begin(), data.bytes.end()}};
    auto state = state_.lock();
    auto found = state->pending.find(data.sequence);
    bool good = found != state->pending.end() && data.place < found->second.chunks.size() &&
                found->second.chunks[data.place].bytes.empty();
    if (!good) refuse_answer();
    found->second.chunks[data.place] = std::move(chunk);
    if (--found->second.missing > 0) return;
    found->second.done = true;
    changed_.notify_all();
  }

  std::unique_ptr<base::ByteStream> stream_;
  FrameChannel channel_;
  const wire::ReadablePoint readable_;
  const ChunkHasher hasher_;
  std::atomic<uint64_t> received_size_{0};
  std::mutex sending_;
  base::Guarded<State> state_;
  std::condition_variable changed_;
  std::thread reader_;
};

class RemoteDisk : public DiskReader {
 public:
  RemoteDisk(std::shared_ptr<Link> link, uint32_t number, ChunkCheck check)
      : link_(std::move(link)), number_(number), check_(check),
        disk_(link_->readable().point.disks[number]), chunk_size_(link_->hasher().chunk_size()),
        chunk_count_((disk_.size + chunk_size_ - 1) / chunk_size_) {}

  const PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return disk_.size; }
  const ChunkHasher& hasher() const override { return link_->hasher(); }

  std::vector<ChunkId> chunk_ids(uint64_t first, uint64_t count) override {
    std::vector<ChunkId> ids;
    ids.reserve(count);
    while (ids.size() < count) {
      uint64_t chunk = first + ids.size(), within = chunk % kListedTogether;
      auto list = list_of(chunk / kListedTogether);
      uint64_t part = std::min(count - ids.size(), list->size() - within);
      auto from = list->begin() + static_cast<ptrdiff_t>(within);
      ids.insert(ids.end(), from, from + static_cast<ptrdiff_t>(part));
    }
    return ids;
  }

  EncodedChunk encoded_chunk(uint64_t number, base::Bytes& buffer) override {
    if (chunk_ids(number, 1).front().is_zero()) return {};
    Link::Chunk chunk = std::move(link_->get(number_, {number}).front());
    buffer = std::move(chunk.bytes);
    return {chunk.codec, buffer};
  }

  void read(uint64_t offset, base::MutableByteView out) override {
    const uint64_t together =
        std::clamp<uint64_t>(kReadRequestSize / chunk_size_, 1, wire::kMaxWantedChunks);
    while (!out.empty()) {
      uint64_t first = offset / chunk_size_, from = offset % chunk_size_;
      uint64_t size = std::min<uint64_t>(out.size(), together * chunk_size_ - from);
      try {
        read_chunks(first, from, out.first(size));
      } catch (const Error& error) {
        throw error.with_context(fmt::format("disk '{}' at {}", disk_.name, offset));
      }
      offset += size;
      out = out.subspan(size);
    }
  }

  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<Extent> extents;
    if (length == 0) return extents;
    uint64_t first = offset / chunk_size_;
    uint64_t end = (offset + length + chunk_size_ - 1) / chunk_size_;
    for (uint64_t chunk = first; chunk < end;) {
      uint64_t part = std::min(end - chunk, kListedTogether - chunk % kListedTogether);
      for (const ChunkId& id : chunk_ids(chunk, part)) {
        uint64_t from = std::max(offset, chunk * chunk_size_);
        uint64_t size = std::min(offset + length, ++chunk * chunk_size_) - from;
        ExtentKind kind = id.is_zero() ? ExtentKind::zero : ExtentKind::data;
        if (!extents.empty() && extents.back().kind == kind) extents.back().length += size;
        else extents.push_back({from, size, kind});
      }
    }
    return extents;
  }

 private:
  using List = std::vector<ChunkId>;
  struct Whole {
    ChunkId id;
    base::ByteView plain;
  };

  std::shared_ptr<const List> list_of(uint64_t number) {
    if (auto known = lists_.find(number)) return known;
    uint64_t first = number * kListedTogether;
    uint64_t count = std::min(kListedTogether, chunk_count_ - first);
    auto list =
        std::make_shared<const List>(link_->list(number_, first, static_cast<uint32_t>(count)));
    lists_.put(number, list);
    return list;
  }

  // `out` begins at `from` in the chunk `first`, and is within what one request may ask for.
  void read_chunks(uint64_t first, uint64_t from, base::MutableByteView out) {
    uint64_t count = (from + out.size() + chunk_size_ - 1) / chunk_size_;
    std::vector<ChunkId> ids = chunk_ids(first, count);
    std::vector<uint64_t> wanted;
    for (uint64_t i = 0; i < count; ++i) {
      if (!ids[i].is_zero()) wanted.push_back(first + i);
    }
    std::vector<Link::Chunk> chunks;
    if (!wanted.empty()) chunks = link_->get(number_, wanted);
    size_t next = 0;
    std::vector<Whole> whole;  // checked afterwards, in pairs, which takes half the time
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t begin = i == 0 ? from : 0;
      uint64_t at = i == 0 ? 0 : i * chunk_size_ - from;
      base::MutableByteView part = out.subspan(at, std::min(chunk_size_ - begin, out.size() - at));
      if (ids[i].is_zero()) std::fill(part.begin(), part.end(), uint8_t{0});
      else if (part.size() < chunk_size_) place(chunks[next++], ids[i], begin, part);
      else {
        decode_chunk(chunks[next].codec, chunks[next].bytes, part);
        chunks[next++].bytes = {};
        whole.push_back({ids[i], part});
      }
    }
    check(whole);
  }

  // Of a part of a chunk.
  void place(const Link::Chunk& chunk, const ChunkId& id, uint64_t begin,
             base::MutableByteView out) {
    base::Bytes plain(chunk_size_);
    decode_chunk(chunk.codec, chunk.bytes, plain);
    check({{id, plain}});
    std::copy_n(plain.begin() + static_cast<ptrdiff_t>(begin), out.size(), out.begin());
  }

  void check(const std::vector<Whole>& chunks) const {
    if (check_ == ChunkCheck::by_caller) return;
    bool good = true;
    size_t i = 0;
    for (; i + 1 < chunks.size(); i += 2) {
      auto ids = hasher().ids_of(chunks[i].plain, chunks[i + 1].plain);
      good = good && ids[0] == chunks[i].id && ids[1] == chunks[i + 1].id;
    }
    if (i < chunks.size()) good = good && hasher().id_of(chunks[i].plain) == chunks[i].id;
    if (!good)
      throw Error(ErrorCode::corrupt, "a chunk arrived with another content than its id says");
  }

  std::shared_ptr<Link> link_;
  const uint32_t number_;
  const ChunkCheck check_;
  const PointDisk disk_;
  const uint64_t chunk_size_, chunk_count_;
  base::LruCache<uint64_t, const List> lists_{kCachedLists};
};

class LinkedPoint : public RemotePoint {
 public:
  explicit LinkedPoint(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  const Point& point() const override { return link_->readable().point; }
  bool has_definition() const override { return link_->readable().has_definition; }
  const ChunkHasher& hasher() const override { return link_->hasher(); }
  uint64_t received_size() const override { return link_->received_size(); }

  std::unique_ptr<DiskReader> open_disk(std::string_view name, ChunkCheck check) override {
    return std::make_unique<RemoteDisk>(link_, number_of(name), check);
  }

  std::optional<PointId> base() const override { return link_->readable().base; }

  std::optional<std::vector<uint64_t>> changes(std::string_view name) override {
    if (!base()) return std::nullopt;
    const uint32_t number = number_of(name);
    const uint64_t chunk_size = hasher().chunk_size();
    const uint64_t end = (point().disks[number].size + chunk_size - 1) / chunk_size;
    std::vector<uint64_t> all;
    for (uint64_t next = 0; next < end;) {
      wire::Changes part = link_->list_changes(number, next);
      if (part.next > end) {
        throw Error(ErrorCode::corrupt, "the appliance lists changes beyond the end of the disk");
      }
      if (all.size() + part.chunks.size() > kMaxChanges) return std::nullopt;
      all.insert(all.end(), part.chunks.begin(), part.chunks.end());
      next = part.next;
    }
    return all;
  }

 private:
  uint32_t number_of(std::string_view name) const {
    point().disk(name);  // throws not_found
    const std::vector<PointDisk>& disks = point().disks;
    auto found = std::find_if(disks.begin(), disks.end(),
                              [&](const PointDisk& disk) { return disk.name == name; });
    return static_cast<uint32_t>(found - disks.begin());
  }

  std::shared_ptr<Link> link_;
};

}  // namespace

std::shared_ptr<RemotePoint> RemotePoint::open(std::unique_ptr<base::ByteStream> stream,
                                               const wire::Ticket& ticket,
                                               const wire::Versions& versions) {
  return std::make_shared<LinkedPoint>(std::make_shared<Link>(std::move(stream), ticket, versions));
}

}  // namespace images
