#include "agent/sync.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "images/sources/raw_disk_source.h"

namespace agent {
namespace {

constexpr uint32_t kChunkSize = 65536;
constexpr uint64_t kDiskSize = 8u << 20;

class PatternDisk : public images::DiskSource {
 public:
  uint64_t size() const override { return kDiskSize; }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, images::ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<uint8_t>((offset + i) / 4096 + (offset + i) / kChunkSize + 1);
  }
};

// A machine held at one instant, that counts how it is asked.
class FakeCapture : public Capture {
 public:
  FakeCapture() { disks_.push_back({"vda", kDiskSize, {}, std::make_unique<PatternDisk>()}); }
  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override {
    if (fails) throw base::Error(base::ErrorCode::no_space, "the scratch space is used up");
  }
  void end_reading() override { ++ends; }
  void committed(const images::PointId&) noexcept override { ++commits; }

  std::atomic<bool> fails{false};
  int ends = 0, commits = 0;

 private:
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
};

// What a target does, one after the other: its sink goes away after so many batches, or it refuses.
struct Turn {
  int batches = -1;  // -1: all
  base::ErrorCode refusal = base::ErrorCode::io;
  bool refuses = false;
};

class FakeTarget : public Target {
 public:
  explicit FakeTarget(std::vector<Turn> turns) : turns_(std::move(turns)) {}
  std::string description() const override { return "appliance fake:1"; }
  std::optional<BasePoint> last_point(const std::string&) override { return std::nullopt; }
  std::unique_ptr<images::PointSink> begin(const images::SyncPlan&) override {
    Turn turn = begun < turns_.size() ? turns_[begun] : Turn{};
    ++begun;
    if (on_begin) on_begin();
    if (turn.refuses) throw base::Error(turn.refusal, "not now");
    return std::make_unique<Sink>(*this, turn.batches);
  }

  size_t begun = 0;
  std::atomic<uint64_t> sent{0};
  std::function<void()> on_begin;

 private:
  class Sink : public images::PointSink {
   public:
    Sink(FakeTarget& target, int batches) : target_(target), left_(batches) {}
    const images::ChunkHasher& hasher() const override { return hasher_; }
    void send(const images::Batch& batch,
              const std::function<images::EncodedChunk(size_t)>&) override {
      if (left_ == 0) throw base::Error(base::ErrorCode::unavailable, "fake:1 cut the connection");
      if (left_ > 0) --left_;
      for (const images::PlacedChunk& place : batch.places) target_.sent += place.count;
    }
    images::SinkProgress progress() const override { return {}; }
    images::PointId commit(const images::PointDetails&) override { return {}; }

   private:
    FakeTarget& target_;
    std::atomic<int> left_;
    images::ChunkHasher hasher_{kChunkSize};
  };

  std::vector<Turn> turns_;
};

SyncOptions quick() {
  SyncOptions options;
  options.longest_pause = std::chrono::milliseconds(100);
  options.patience = std::chrono::seconds(2);
  return options;
}

Turn refuse(base::ErrorCode code) { return {.refusal = code, .refuses = true}; }

TEST_CASE("a sync continues when the appliance that went away is back") {
  FakeCapture capture;
  FakeTarget target({{.batches = 2},
                     refuse(base::ErrorCode::unavailable),
                     refuse(base::ErrorCode::busy),
                     {.batches = 0},
                     refuse(base::ErrorCode::unavailable)});
  run_sync("web", capture, std::nullopt, target, quick());
  CHECK(target.begun == 6);
  CHECK(target.sent >= kDiskSize / kChunkSize);
  CHECK(capture.ends == 1);
  CHECK(capture.commits == 1);
}

base::ErrorCode failure(FakeCapture& capture, FakeTarget& target, const SyncOptions& options) {
  try {
    run_sync("web", capture, std::nullopt, target, options);
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("it made a point");
  return {};
}

TEST_CASE("a sync waits for its appliance no longer than it may") {
  FakeCapture capture;
  std::vector<Turn> turns(1000, refuse(base::ErrorCode::unavailable));
  turns[0] = {.batches = 1};
  FakeTarget target(turns);
  SyncOptions options = quick();
  options.patience = std::chrono::milliseconds(300);
  CHECK(failure(capture, target, options) == base::ErrorCode::unavailable);
  CHECK(capture.commits == 0);
}

TEST_CASE("what will not pass ends a sync at once, also while it waits") {
  FakeCapture capture;
  FakeTarget refused({{.batches = 1}, refuse(base::ErrorCode::unauthorized)});
  CHECK(failure(capture, refused, quick()) == base::ErrorCode::unauthorized);
  // The machine can be held no longer.
  FakeTarget away({{.batches = 1}, refuse(base::ErrorCode::unavailable)});
  away.on_begin = [&] { capture.fails = away.begun == 2; };
  CHECK(failure(capture, away, quick()) == base::ErrorCode::no_space);
  capture.fails = false;
  // Nobody was there from the beginning: the one who ordered the sync hears it now.
  FakeTarget absent({refuse(base::ErrorCode::unavailable)});
  CHECK(failure(capture, absent, quick()) == base::ErrorCode::unavailable);
  std::stop_source stop;
  FakeTarget stopped({{.batches = 1}, refuse(base::ErrorCode::unavailable)});
  stopped.on_begin = [&] {
    if (stopped.begun == 2) stop.request_stop();
  };
  SyncOptions options = quick();
  options.stop = stop.get_token();
  CHECK(failure(capture, stopped, options) == base::ErrorCode::cancelled);
}

TEST_CASE("an appliance that goes away each time is not waited for without end") {
  FakeCapture capture;
  FakeTarget target(std::vector<Turn>(1000, Turn{.batches = 0}));
  CHECK(failure(capture, target, quick()) == base::ErrorCode::unavailable);
  CHECK(target.begun < 30);
}

}  // namespace
}  // namespace agent
