// One commit, and one deletion, cut short at each of their I/Os: by an error after which the
// process continues, and by a kill that leaves what was written visible but not durable.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/log.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "tests/images/store/store_workload.h"

namespace images {
namespace {

using Problems = std::vector<std::string>;

// Three points of one machine, in a store that nobody has open; and one operation on a copy of it.
class Scene {
 public:
  Scene() {
    memory_.make_directory("/store");
    memory_.sync_directory("/");
    init_store(memory_, "/store", {.chunk_size = 4096});
    auto first = StoreWriter::open(memory_, "/store", {}, scratch_.path() + "/index");
    for (uint32_t i = 0; i < 3; ++i) {
      ModelPoint point{"machine", i + 1, {{"vda", ModelContent{i + 10, 1, i + 20, 2, i + 30}}}};
      points_[sync_model_point(*first, point, {}, nullptr)] = point;
    }
  }

  // Restores the scene; its I/Os are counted from 1.
  void begin(uint64_t fail_at, base::Fault fault) {
    writer.reset();
    copy = memory_.clone();
    files_.emplace(*copy);
    std::filesystem::remove_all(index_);
    std::filesystem::copy(scratch_.path() + "/index", index_);
    expected = {points_, {}, {}};
    open(*files_);
    files_->reset();
    files_->fail_at(fail_at, fault);
  }

  // Whether the fault came to pass.
  bool operate(bool commits) {
    try {
      if (commits) commit();
      else remove();
    } catch (const base::Error&) {
      return files_->fired();
    }
    return files_->fired();
  }

  // Packs of a few records, so that a compaction meets what the same process wrote.
  void open(base::FileSystem& from) {
    writer = StoreWriter::open(from, "/store", {}, index_,
                               {.pack_size = 6 << 10, .order_by_host_time = true});
  }

  // Frees whatever may be freed.
  void compact_all() {
    for (int i = 0; i < 3; ++i) {
      try {
        writer->compact({.rewrite_below = 1.1, .stop = {}});
      } catch (const base::Error&) {
        return;  // an unsound store frees nothing
      }
    }
  }

  Problems verify() {
    Problems problems = settle(writer->reader(), expected);
    for (const std::string& problem : writer->check({.deep = true}).problems)
      problems.push_back(problem);
    return problems;
  }

  base::FaultyFileSystem& faulty() { return *files_; }

  std::unique_ptr<base::MemoryFileSystem> copy;
  Expectation expected;
  std::unique_ptr<StoreWriter> writer;

 private:
  void commit() {
    ModelPoint point{"machine", 10, {{"vda", ModelContent{50, 51, 1, 52}}}};
    expected.maybe_added = {point};
    PointId id = sync_model_point(*writer, point, {}, nullptr);
    expected.maybe_added.clear();
    expected.points[id] = point;
  }

  void remove() {
    auto victim = *std::next(expected.points.begin());
    expected.points.erase(victim.first);
    expected.maybe_deleted.insert(victim);
    writer->delete_point(victim.first);
    expected.maybe_deleted.clear();
  }

  base::ScratchDirectory scratch_{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp",
                                  "muletto-interrupted"};
  base::MemoryFileSystem memory_;
  std::optional<base::FaultyFileSystem> files_;
  const std::string index_ = scratch_.path() + "/copy";
  ModelStore points_;
};

}  // namespace

TEST_CASE(
    "a commit or deletion that failed anywhere, and then compactions by the same process, lose "
    "nothing") {
  auto level = base::log().level();
  base::log().set_level(spdlog::level::off);
  Scene scene;
  for (bool commits : {true, false}) {
    uint64_t at = 1;
    for (bool fired = true; fired; ++at) {
      INFO((commits ? "commit" : "deletion") << ", I/O " << at);
      scene.begin(at, base::Fault::io_error);
      fired = scene.operate(commits);
      scene.compact_all();
      scene.writer.reset();
      scene.faulty().reset();
      scene.open(*scene.copy);
      CHECK(scene.verify() == Problems{});
    }
    CHECK(at > (commits ? 8 : 4));
  }
  base::log().set_level(level);
}

TEST_CASE(
    "what a killed process left visible stays as the next one found it, whatever the power does "
    "then") {
  auto level = base::log().level();
  base::log().set_level(spdlog::level::off);
  Scene scene;
  const uint64_t seeds = std::getenv("MULETTO_FAULT_SWEEP") != nullptr ? 8 : 2;
  for (bool commits : {true, false}) {
    bool fired = true;
    for (uint64_t at = 1; fired; ++at) {
      for (uint64_t seed = 0; seed < seeds && fired; ++seed) {
        INFO((commits ? "commit" : "deletion") << ", I/O " << at << ", seed " << seed);
        scene.begin(at, base::Fault::power_cut);  // no I/O after it gets through: as good as a kill
        fired = scene.operate(commits);
        scene.writer.reset();
        scene.open(*scene.copy);
        REQUIRE(scene.verify() == Problems{});
        scene.compact_all();
        scene.writer.reset();
        scene.copy->power_cut(seed);
        scene.open(*scene.copy);
        REQUIRE(scene.verify() == Problems{});
      }
    }
  }
  base::log().set_level(level);
}

TEST_CASE("a sync that was told another one brings a chunk fails if that one's write fails") {
  auto level = base::log().level();
  base::log().set_level(spdlog::level::off);
  Scene scene;
  bool refused = false, fired = true;
  for (uint64_t at = 1; fired; ++at) {
    INFO("I/O " << at << " after the first sync's last chunk");
    scene.begin(0, base::Fault::io_error);
    auto begin_sync = [&](const char* machine) {
      return scene.writer->begin({machine, {{"vda", 4096, {}}}});
    };
    auto first = begin_sync("first"), second = begin_sync("second");
    Batch batch{0, 0, {{0, 1, first->hasher().id_of(chunk_of_seed(99, 4096))}}};
    base::Bytes content = chunk_of_seed(99, 4096);
    auto encode = [&](size_t) { return EncodedChunk{Codec::raw, content}; };
    first->send(batch, encode);
    second->send(
        batch, [](size_t) -> EncodedChunk { throw std::logic_error("it is on its way already"); });
    scene.faulty().fail_at(scene.faulty().count() + at, base::Fault::io_error);
    for (auto* sink : {&first, &second}) {
      ModelPoint point{sink == &first ? "first" : "second", 7, {{"vda", {99}}}};
      PointDetails details;
      details.time_ms = 7;
      try {
        scene.expected.points[(*sink)->commit(details)] = point;
      } catch (const base::Error&) {
        scene.expected.maybe_added.push_back(point);
        refused = refused || sink == &second;
      }
    }
    fired = scene.faulty().fired();
    first.reset();
    second.reset();
    scene.writer.reset();
    scene.faulty().reset();
    scene.open(*scene.copy);
    REQUIRE(scene.verify() == Problems{});
  }
  CHECK(refused);
  base::log().set_level(level);
}

}  // namespace images
