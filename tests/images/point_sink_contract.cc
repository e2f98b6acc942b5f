// What every PointSink promises, run on each of them: into a store here, over the wire into one, and
// the model that other tests compare with.
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/codec.h"
#include "images/store/store_writer.h"
#include "images/wire/transfer_client.h"
#include "tests/images/store/store_model.h"
#include "tests/images/wire/transfer_setup.h"

namespace images {
namespace {

using base::Bytes;

constexpr size_t kChunkCount = 200;
constexpr uint64_t kDiskSize = kChunkCount * uint64_t{kChunk};

// A place that takes points of one machine "db" with one disk, by one kind of sink.
class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual std::unique_ptr<PointSink> begin(const std::optional<PointId>& base) = 0;
  virtual size_t point_count() = 0;
  virtual Bytes content(const PointId& id) = 0;
};

SyncPlan plan_on(const std::optional<PointId>& base) { return {"db", {{"vda", kDiskSize, base}}}; }

class LocalCandidate : public Candidate {
 public:
  LocalCandidate() {
    files_.make_directory("/store");
    init_store(files_, "/store", {.chunk_size = kChunk});
    writer_ = StoreWriter::open(files_, "/store", {}, scratch_.path() + "/index");
  }
  std::unique_ptr<PointSink> begin(const std::optional<PointId>& base) override {
    return writer_->begin(plan_on(base));
  }
  size_t point_count() override { return writer_->reader().points().size(); }
  Bytes content(const PointId& id) override {
    auto disk = writer_->reader().open_disk(id, "vda");
    Bytes bytes(disk->size());
    disk->read(0, bytes);
    return bytes;
  }

 protected:
  base::ScratchDirectory scratch_{"/tmp", "muletto-sink-test"};
  base::MemoryFileSystem files_;
  std::unique_ptr<StoreWriter> writer_;
};

class RemoteCandidate : public LocalCandidate {
 public:
  RemoteCandidate() {
    host_.allows_copies = true;
    host_.make_sink = [this](const SyncPlan& plan) { return writer_->begin(plan); };
  }
  std::unique_ptr<PointSink> begin(const std::optional<PointId>& base) override {
    auto [near, far] = base::make_stream_pair();
    servings_.push_back(std::make_unique<Serving>(std::move(far), host_));
    return open_remote_sink(std::move(near), plan_on(base));
  }
  // What a sink that was destroyed left is settled when its session has ended.
  size_t point_count() override {
    for (auto& serving : servings_) serving->ending();
    servings_.clear();
    return LocalCandidate::point_count();
  }

 private:
  TestHost host_;
  std::vector<std::unique_ptr<Serving>> servings_;
};

class ModelCandidate : public Candidate {
 public:
  // Hands on to a model, and keeps what was committed.
  class Sink : public BorrowedSink {
   public:
    Sink(ModelCandidate& owner, std::unique_ptr<ModelSink> model)
        : BorrowedSink(*model), owner_(owner), model_(std::move(model)) {}
    PointId commit(const PointDetails& details) override {
      if (details.lineage.origin && owner_.points_.contains(details.lineage.origin->point))
        throw base::Error(base::ErrorCode::already_exists, "it is there");
      PointId id = model_->commit(details);
      owner_.points_[id] = model_->content(0);
      CHECK(model_->broken_rules() == std::vector<std::string>{});
      return id;
    }

   private:
    ModelCandidate& owner_;
    std::unique_ptr<ModelSink> model_;
  };

  std::unique_ptr<PointSink> begin(const std::optional<PointId>& base) override {
    ModelDisk disk{plan_on(base).disks[0], base ? points_.at(*base) : Bytes(kDiskSize)};
    auto model = std::make_unique<ModelSink>(std::vector{disk}, kChunk);
    return std::make_unique<Sink>(*this, std::move(model));
  }
  size_t point_count() override { return points_.size(); }
  Bytes content(const PointId& id) override { return points_.at(id); }

 private:
  std::map<PointId, Bytes> points_;
};

std::unique_ptr<Candidate> candidate(const std::string& name) {
  if (name == "local") return std::make_unique<LocalCandidate>();
  if (name == "remote") return std::make_unique<RemoteCandidate>();
  return std::make_unique<ModelCandidate>();
}

// Sends chunk contents by seed (0: zeros) as batches of so many places, and says which were asked
// for.
struct Sender {
  PointSink& sink;
  uint64_t sequence = 0;
  std::set<uint64_t> asked = {};  // chunk numbers
  uint64_t bytes = 0;             // encoded
  bool sends_zeros = false;
  int broken = 0;  // promises about encode()

  void send(const ModelContent& content, size_t first, size_t end) {
    Batch batch{sequence++, 0, {}};
    std::vector<uint32_t> seeds;
    for (size_t i = first; i < end; ++i) {
      if (content[i] == 0 && !sends_zeros) continue;
      Bytes plain = chunk_of_seed(content[i], kChunk);
      batch.places.push_back({i, 1, content[i] == 0 ? ChunkId{} : sink.hasher().id_of(plain)});
      seeds.push_back(content[i]);
    }
    ChunkEncoder encoder(1);
    const auto caller = std::this_thread::get_id();
    sink.send(batch, [&](size_t place) {
      bool good = std::this_thread::get_id() == caller && seeds.at(place) != 0 &&
                  asked.insert(batch.places[place].index).second;
      if (!good) ++broken;
      EncodedChunk chunk = encoder.encode(chunk_of_seed(seeds[place], kChunk));
      bytes += chunk.bytes.size();
      return chunk;
    });
  }
};

Bytes bytes_of(const ModelContent& content) {
  Bytes bytes;
  for (uint32_t seed : content) {
    Bytes chunk = chunk_of_seed(seed, kChunk);
    bytes.insert(bytes.end(), chunk.begin(), chunk.end());
  }
  return bytes;
}

// Distinct chunks, and zeros at every fifth place.
ModelContent sample_content() {
  ModelContent content(kChunkCount);
  for (size_t i = 0; i < content.size(); ++i)
    content[i] = i % 5 == 0 ? 0 : static_cast<uint32_t>(i + 1);
  return content;
}

}  // namespace

TEST_CASE("every point sink keeps the contract", "[transfer]") {
  const std::string name =
      GENERATE(std::string("local"), std::string("remote"), std::string("model"));
  CAPTURE(name);
  auto place = candidate(name);
  ModelContent content = sample_content();

  SECTION("what was sent is the point, and nothing is one before commit") {
    auto sink = place->begin({});
    CHECK(sink->hasher().chunk_size() == kChunk);
    Sender sender{*sink};
    for (size_t first = 0; first < kChunkCount; first += 50)
      sender.send(content, first, first + 50);
    CHECK(sender.asked.size() == kChunkCount / 5 * 4);
    CHECK(sender.broken == 0);
    CHECK(sink->progress().bytes_sent == sender.bytes);
    PointId id = sink->commit({});
    CHECK_FALSE(id.is_zero());
    CHECK(sink->progress().bytes_sent == sender.bytes);
    sink.reset();
    CHECK(place->point_count() == 1);
    CHECK(place->content(id) == bytes_of(content));
  }

  SECTION("a sink that is destroyed without commit leaves no point") {
    {
      auto sink = place->begin({});
      Sender sender{*sink};
      sender.send(content, 0, 50);
    }
    CHECK(place->point_count() == 0);
  }

  SECTION("a chunk is asked for once, and not again in a later batch") {
    ModelContent twice(kChunkCount, 7);
    twice[0] = 8;
    auto sink = place->begin({});
    Sender sender{*sink};
    sender.send({twice.begin(), twice.end()}, 0, 2);
    CHECK(sender.asked == std::set<uint64_t>{0, 1});
    sender.send(twice, 2, 200);
    CHECK(sender.asked == std::set<uint64_t>{0, 1});
    PointId id = sink->commit({});
    sink.reset();
    CHECK(place->content(id) == bytes_of(twice));
  }

  SECTION("batches without places, and a point without any batch") {
    auto sink = place->begin({});
    Sender sender{*sink};
    if (GENERATE(true, false)) sender.send(ModelContent(kChunkCount), 0, kChunkCount);
    PointId id = sink->commit({});
    sink.reset();
    CHECK(place->content(id) == Bytes(kDiskSize));
  }

  SECTION("several threads, each with the next batch") {
    auto sink = place->begin({});
    std::mutex mutex;
    uint64_t next = 0;
    std::atomic<int> broken = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (;;) {
          uint64_t sequence;
          {
            std::lock_guard lock(mutex);
            sequence = next++;
          }
          if (sequence >= kChunkCount / 20) return;
          Sender sender{*sink, sequence};
          sender.send(content, sequence * 20, sequence * 20 + 20);
          broken += sender.broken;
        }
      });
    }
    threads.clear();
    CHECK(broken == 0);
    PointId id = sink->commit({});
    sink.reset();
    CHECK(place->content(id) == bytes_of(content));
  }

  SECTION("what is not sent is as in the base, and zeros are sent") {
    PointId base;
    {
      auto sink = place->begin({});
      Sender sender{*sink};
      sender.send(content, 0, kChunkCount);
      base = sink->commit({});
    }
    ModelContent changed = content;
    changed[11] = 0;
    changed[12] = 0;
    changed[13] = 9'999;
    auto sink = place->begin(base);
    Sender sender{*sink};
    sender.sends_zeros = true;
    sender.send(changed, 11, 14);
    CHECK(sender.asked == std::set<uint64_t>{13});
    CHECK(sender.broken == 0);
    PointId id = sink->commit({});
    sink.reset();
    CHECK(place->content(id) == bytes_of(changed));
    CHECK(place->content(base) == bytes_of(content));
    CHECK(place->point_count() == 2);
  }

  SECTION("a copy keeps its id, and comes once") {
    PointDetails details;
    details.lineage.origin = PointOrigin{StoreId::random(), PointId::random()};
    details.first_dates = FirstDates{1'000, 2'000, false, false};
    auto commit = [&] {
      auto sink = place->begin({});
      Sender sender{*sink};
      sender.send(content, 0, kChunkCount);
      return sink->commit(details);
    };
    CHECK(commit() == details.lineage.origin->point);
    CHECK(ending_of(commit).code == base::ErrorCode::already_exists);
    CHECK(place->point_count() == 1);
  }
}

}  // namespace images
