// For tests of the transfer protocol: a host over any sink, a serving thread, and a stream that
// counts and can be cut.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/socket_stream.h"
#include "images/wire/transfer_server.h"

namespace images {

// Serves sinks that `make_sink` makes. Hooks may be empty.
class TestHost : public TransferHost {
 public:
  std::function<std::unique_ptr<StoreSink>(const SyncPlan&)> make_sink;
  std::function<void(const std::string&)> on_authorize;
  std::optional<wire::LastPoint> last;
  std::vector<PointSummary> listed;
  bool allows_copies = false;
  std::atomic<int> commits = 0;
  PointDetails committed_details;

  void authorize(const std::string& machine_name) override {
    if (on_authorize) on_authorize(machine_name);
  }
  std::optional<wire::LastPoint> last_point(const std::string&) override { return last; }
  std::vector<PointSummary> points(const std::string&) override { return listed; }
  void authorize_copy(const PointOrigin&) override {
    if (!allows_copies) throw base::Error(base::ErrorCode::unauthorized, "no copies");
  }
  std::unique_ptr<StoreSink> begin(const SyncPlan& plan) override { return make_sink(plan); }
  void on_progress(const SinkProgress&) override {}
  void on_commit(const PointId&, const PointDetails& details) override {
    committed_details = details;
    ++commits;
  }
};

// Hands every call on to a sink that somebody else keeps.
class BorrowedSink : public StoreSink {
 public:
  explicit BorrowedSink(StoreSink& sink) : sink_(sink) {}
  const ChunkHasher& hasher() const override { return sink_.hasher(); }
  std::vector<bool> lacking(std::span<const PlacedChunk> places) override {
    return sink_.lacking(places);
  }
  void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) override {
    sink_.send(batch, encode);
  }
  SinkProgress progress() const override { return sink_.progress(); }
  PointId commit(const PointDetails& details) override { return sink_.commit(details); }

 private:
  StoreSink& sink_;
};

// Counts what is written, and cuts the connection after `limit` bytes in both directions together.
class CutStream : public base::ByteStream {
 public:
  struct Counters {
    std::atomic<uint64_t> written = 0, passed = 0;
    uint64_t limit = ~0ull;
  };
  CutStream(std::unique_ptr<base::ByteStream> stream, Counters& counters)
      : stream_(std::move(stream)), counters_(counters) {}

  size_t read_some(base::MutableByteView out, std::chrono::milliseconds timeout) override {
    size_t count = stream_->read_some(out.first(std::min<size_t>(out.size(), 4096)), timeout);
    pass(count);
    return count;
  }
  bool wait_readable(std::chrono::milliseconds timeout) override {
    return stream_->wait_readable(timeout);
  }
  void write_all(base::ByteView bytes, std::chrono::milliseconds timeout) override {
    for (size_t done = 0; done < bytes.size();) {
      size_t size = std::min<size_t>(bytes.size() - done, 4096);
      pass(size);
      stream_->write_all(bytes.subspan(done, size), timeout);
      counters_.written += size;
      done += size;
    }
  }
  void finish() noexcept override { stream_->finish(); }
  void abort() noexcept override { stream_->abort(); }
  const std::string& peer() const override { return stream_->peer(); }

 private:
  void pass(size_t count) {
    if ((counters_.passed += count) <= counters_.limit) return;
    stream_->abort();
    throw base::Error(base::ErrorCode::unavailable, "the connection was cut");
  }

  std::unique_ptr<base::ByteStream> stream_;
  Counters& counters_;
};

struct Ending {
  base::ErrorCode code = base::ErrorCode::io;
  std::string message;  // empty: in order
};

// Serves one connection on a thread of its own.
class Serving {
 public:
  Serving(std::unique_ptr<base::ByteStream> stream, TransferHost& host,
          TransferServerOptions options = {})
      : stream_(std::move(stream)), ending_(std::async(std::launch::async, [this, &host, options] {
          Ending ending;
          try {
            serve_transfer(*stream_, host, options);
          } catch (const base::Error& error) {
            ending = {error.code(), error.message()};
          }
          stream_->abort();  // the other end learns of it; this one may still be in a test's hands
          return ending;
        })) {}

  base::ByteStream& stream() { return *stream_; }
  Ending ending() { return ending_.get(); }

 private:
  std::unique_ptr<base::ByteStream> stream_;
  std::future<Ending> ending_;
};

template <typename Action>
Ending ending_of(Action action) {
  try {
    action();
    return {};
  } catch (const base::Error& error) {
    return {error.code(), error.message()};
  }
}

}  // namespace images
