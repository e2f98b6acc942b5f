// The store under faults. A seeded workload runs on a file system in memory; its I/Os are counted,
// and for each of them in turn
//   - the power is cut there: what was not synced is lost or torn, and the index comes back in any
//     state; the store is opened again (sometimes the power goes again meanwhile, or an I/O of the
//     recovery fails), checked, compared with the model, worked on, and cut once more;
//   - that I/O fails (I/O error, disk full, a part written), and the workload continues as well as it
//     can.
// Quick by default; MULETTO_FAULT_SWEEP=full takes every I/O (tests/CMakeLists.txt runs it as
// store_faults). MULETTO_TEST_SEED=N replays one run.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <thread>

#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "tests/images/store/index_states.h"
#include "tests/images/store/store_workload.h"

namespace images {
namespace {

using Problems = std::vector<std::string>;

constexpr uint32_t kChunk = 4096;
// Small, so that a workload of some hundred chunks fills many packs and many slices.
constexpr WriterLimits kLimits{
    .pack_size = 96 << 10, .reference_slice = 40, .departures = 3, .order_by_host_time = true};
const std::string kStore = "/store";

bool full_sweep() {
  const char* wanted = std::getenv("MULETTO_FAULT_SWEEP");
  return wanted != nullptr && std::string(wanted) == "full";
}

uint32_t first_seed() {
  const char* given = std::getenv("MULETTO_TEST_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : 1;
}

// The faults are the test's own: nobody wants to read of each.
struct Quiet {
  spdlog::level::level_enum before = base::log().level();
  Quiet() { base::log().set_level(spdlog::level::off); }
  ~Quiet() { base::log().set_level(before); }
};

struct Tally {
  std::atomic<uint64_t> cuts{0}, recovery_cuts{0}, faults{0}, fired{0}, recovery_fired{0};
  std::atomic<uint64_t> continued{0}, reopened{0};
};

// Every second workload is on an encrypted store.
const KeySource kKey{"", base::Bytes(32, 1)};

KeySource key_of_store(base::FileSystem& files) {
  return files.exists(std::string(kStore) + "/key") ? kKey : KeySource{};
}

// Memory is much faster than a disk here, but containers often have next to none of it to give.
std::string scratch_root() {
  std::error_code absent;
  std::filesystem::space_info memory = std::filesystem::space("/dev/shm", absent);
  return !absent && memory.available >= (1ULL << 30) ? "/dev/shm" : "/tmp";
}

// A workload on a store of its own, with reopenings in between.
class Run {
 public:
  Run(uint32_t seed, std::string index)
      : workload({.seed = seed}), index_directory(std::move(index)), random_(seed),
        key_(seed % 2 == 0 ? kKey : KeySource{}) {
    memory.make_directory(kStore);
    memory.sync_directory("/");
    init_store(memory, kStore, {.chunk_size = kChunk, .key = key_, .scrypt_log2_n = 14});
  }
  ~Run() { close(); }

  void open() { writer = StoreWriter::open(files, kStore, key_, index_directory, kLimits); }
  void close() {
    workload.close();
    writer.reset();
  }

  void step(int number) {
    if (number % 5 == 4) {
      close();
      open();
      return;
    }
    workload.step(*writer);
  }

  static constexpr int kSteps = 24;

  base::MemoryFileSystem memory;
  base::FaultyFileSystem files{memory};
  StoreWorkload workload;
  std::string index_directory;
  std::unique_ptr<StoreWriter> writer;

 private:
  std::mt19937 random_;
  KeySource key_;
};

Problems with_context(Problems problems, const std::string& context) {
  for (std::string& problem : problems) problem = context + ": " + problem;
  return problems;
}

void append(Problems& to, const Problems& more) { to.insert(to.end(), more.begin(), more.end()); }

// Opens the store, compares, checks: everything must be right.
Problems verify(base::FileSystem& files, const std::string& index, Expectation& expected) {
  try {
    auto writer = StoreWriter::open(files, kStore, key_of_store(files), index, kLimits);
    Problems problems = settle(writer->reader(), expected);
    append(problems, writer->check({.deep = true, .on_progress = {}, .stop = {}}).problems);
    return problems;
  } catch (const base::Error& error) {
    return {"the store does not open: " + error.message()};
  }
}

// Work on a store that was recovered; it must be as good as new.
Problems work_on(base::FileSystem& files, const std::string& index, Expectation& expected,
                 uint32_t seed) {
  StoreWorkload more({.seed = seed, .chunk_count = 60, .most_points = 20});
  more.expected = expected;
  // After every time there is, so that the model can tell points apart.
  try {
    auto writer = StoreWriter::open(files, kStore, key_of_store(files), index, kLimits);
    for (int i = 0; i < 4; ++i) more.step(*writer);
    writer->compact({.rewrite_below = 0.95, .stop = {}});
    more.close();
  } catch (const base::Error& error) {
    return {"work after the recovery failed: " + error.message()};
  }
  expected = more.expected;
  return more.complaints;
}

// The power went: `memory` holds what is left, `states` what the index may be.
class Aftermath {
 public:
  Aftermath(const base::MemoryFileSystem& memory, const IndexStates& states, Expectation expected,
            std::string index, uint64_t seed, Tally& tally)
      : memory_(memory.clone()), states_(states), expected_(std::move(expected)),
        index_(std::move(index)), random_(seed), tally_(tally) {}

  Problems run() {
    // A process that was killed leaves its writes to the system: they are visible, but not durable
    // yet.
    bool killed = random_() % 4 == 0;
    if (!killed) memory_->power_cut(random_());
    std::string what = states_.restore(index_, random_);
    ++tally_.cuts;
    if (random_() % 2 == 0) disturb_recovery();
    Problems problems = verify(*memory_, index_, expected_);
    if (problems.empty() && random_() % 3 == 0) problems = again(what);
    return with_context(std::move(problems), (killed ? "kill, " : "power cut, ") + what);
  }

 private:
  // Fails one I/O of the recovery, or cuts the power at it.
  void disturb_recovery() {
    base::FaultyFileSystem faulty(*memory_);
    faulty.fail_at(random_() % 60 + 1,
                   random_() % 2 == 0 ? base::Fault::power_cut : base::Fault::io_error);
    try {
      StoreWriter::open(faulty, kStore, key_of_store(*memory_), index_, kLimits);
    } catch (const base::Error&) {
      // It may fail; it may not spoil anything.
    }
    if (faulty.fired()) ++tally_.recovery_fired;
    if (random_() % 2 == 0) {
      memory_->power_cut(random_());
      ++tally_.recovery_cuts;
    }
  }

  // What was settled stays, whatever comes next.
  Problems again(const std::string& what) {
    Problems problems = work_on(*memory_, index_, expected_, static_cast<uint32_t>(random_()));
    memory_->power_cut(random_());
    ++tally_.cuts;
    if (random_() % 3 == 0) std::filesystem::remove_all(index_);
    append(problems, verify(*memory_, index_, expected_));
    return with_context(std::move(problems), "later, after " + what);
  }

  std::unique_ptr<base::MemoryFileSystem> memory_;
  const IndexStates& states_;
  Expectation expected_;
  std::string index_;
  std::mt19937_64 random_;
  Tally& tally_;
};

// Runs the workload once and cuts the power before each `stride`-th of its I/Os.
Problems cut_everywhere(uint32_t seed, uint64_t stride, uint64_t first, const std::string& scratch,
                        Tally& tally) {
  Run run(seed, scratch + "/index");
  IndexStates states(run.index_directory);
  Problems problems;
  run.files.before_each([&](uint64_t number) {
    states.remember();
    if (number % stride != first % stride || problems.size() > 20) return;
    Aftermath aftermath(run.memory, states, run.workload.expected, scratch + "/cut",
                        seed * 1000003 + number, tally);
    // A thread of its own: this one may be in the middle of a read, with buffers of the thread.
    Problems found = std::async(std::launch::async, [&] { return aftermath.run(); }).get();
    append(problems, with_context(std::move(found), "seed " + std::to_string(seed) + ", I/O " +
                                                        std::to_string(number)));
  });
  run.open();
  for (int number = 0; number < Run::kSteps; ++number) run.step(number);
  run.close();
  append(problems, run.workload.complaints);
  return problems;
}

uint64_t count_of(uint32_t seed, const std::string& scratch) {
  Run run(seed, scratch + "/index");
  run.open();
  for (int number = 0; number < Run::kSteps; ++number) run.step(number);
  run.close();
  return run.files.count();
}

// One workload in which one I/O fails.
Problems fail_once(uint32_t seed, uint64_t at, base::Fault fault, const std::string& scratch,
                   Tally& tally) {
  std::filesystem::remove_all(scratch + "/index");
  Run run(seed, scratch + "/index");
  run.files.fail_at(at, fault);
  std::mt19937_64 random(seed * 7919 + at);
  bool go_on = random() % 2 == 0;
  for (int number = 0; number < Run::kSteps; ++number) {
    try {
      if (!run.writer) run.open();
      run.step(number);
    } catch (const base::Error& error) {
      if (fault == base::Fault::power_cut) break;
      // The holder of the writer tries once more with it, or opens the store again.
      bool told_to_reopen = error.message().find("open the store again") != std::string::npos;
      if (go_on && run.writer && !told_to_reopen) {
        ++tally.continued;
      } else {
        run.close();
        ++tally.reopened;
      }
    }
  }
  run.close();
  ++tally.faults;
  if (run.files.fired()) ++tally.fired;
  Problems problems = run.files.fired() ? Problems{} : run.workload.complaints;
  run.files.reset();
  if (fault == base::Fault::power_cut) run.memory.power_cut(random());
  append(problems, verify(run.files, run.index_directory, run.workload.expected));
  run.memory.power_cut(random());
  append(problems, with_context(verify(run.files, run.index_directory, run.workload.expected),
                                "then a power cut"));
  return with_context(std::move(problems), "seed " + std::to_string(seed) + ", fault " +
                                               std::to_string(static_cast<int>(fault)) +
                                               " at I/O " + std::to_string(at));
}

// Opening a store forks, and the address sanitizer's own locks are those of threads that a child
// does not have: one thread then.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kTwoThreads = false;
#else
constexpr bool kTwoThreads = true;
#endif

// Shares work(0) … work(count - 1) out to two threads, each with a folder of its own.
Problems in_parallel(uint64_t count,
                     const std::function<Problems(uint64_t, const std::string&)>& work) {
  std::atomic<uint64_t> next{0};
  base::Guarded<Problems> problems;
  auto loop = [&] {
    base::ScratchDirectory scratch(scratch_root(), "muletto-fault-test");
    for (uint64_t i = next++; i < count; i = next++) {
      Problems found;
      try {
        found = work(i, scratch.path());
      } catch (const std::exception& error) {
        found = {"run " + std::to_string(i) + " ended with: " + error.what()};
      }
      append(*problems.lock(), found);
      if (problems.lock()->size() > 20) return;
    }
  };
  {
    std::jthread other;
    if (kTwoThreads) other = std::jthread(loop);
    loop();
  }
  return *problems.lock();
}

}  // namespace

TEST_CASE("no committed point is lost wherever the power goes") {
  Quiet quiet;
  Tally tally;
  const bool full = full_sweep();
  const uint64_t stride = full ? 2 : 24;
  const uint64_t runs = full ? 6 : 4;
  Problems problems = in_parallel(runs, [&](uint64_t i, const std::string& scratch) {
    std::filesystem::remove_all(scratch + "/index");
    // Two runs of one seed in a full sweep: one takes the even I/Os, the other the odd ones.
    uint32_t seed = first_seed() + static_cast<uint32_t>(full ? i / 2 : i);
    return cut_everywhere(seed, stride, i, scratch, tally);
  });
  std::cout << tally.cuts << " cuts, " << tally.recovery_cuts << " of them in a recovery, in which "
            << tally.recovery_fired << " faults fired\n";
  CHECK(problems == Problems{});
  CHECK(tally.cuts > (full ? 2000 : 100));
  CHECK(tally.recovery_fired > (full ? 400 : 10));
}

TEST_CASE("no committed point is lost whichever I/O fails") {
  Quiet quiet;
  Tally tally;
  const bool full = full_sweep();
  base::ScratchDirectory scratch(scratch_root(), "muletto-fault-test");
  const uint32_t seed = first_seed();
  const uint64_t ios = count_of(seed, scratch.path());
  const uint64_t count = full ? ios : 60;
  constexpr base::Fault kFaults[] = {base::Fault::io_error, base::Fault::no_space,
                                     base::Fault::short_write, base::Fault::power_cut};
  Problems problems = in_parallel(count, [&](uint64_t i, const std::string& folder) {
    uint64_t at = full ? i + 1 : (i * ios / count) + 1;
    return fail_once(seed, at, kFaults[(i + i / 4) % 4], folder, tally);
  });
  std::cout << tally.faults << " runs with a fault of " << ios << " I/Os, " << tally.fired
            << " fired; continued " << tally.continued << " times, reopened " << tally.reopened
            << " times\n";
  CHECK(problems == Problems{});
  CHECK(tally.fired * 100 >= tally.faults * 95);
}

}  // namespace images
