// Kills a process that works on a store with SIGKILL, again and again, at random moments of syncs,
// deletions and compactions, on a real file system; after each kill the store is opened, checked,
// and compared with what the process had said it did. Its own program, since it starts itself:
//
//   store_kill_test [KILLS [SEED [DIRECTORY]]]      ends with 1 and what is wrong, in words
//
// The worker writes a journal before and after each operation. A kill loses nothing that was
// handed to the system, so the journal is complete up to the kill.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/unique_fd.h"
#include "tests/images/store/store_workload.h"

namespace images {
namespace {

constexpr WriterLimits kLimits{
    .pack_size = 192 << 10, .reference_slice = 30, .departures = 3, .order_by_host_time = true};

std::string store_of(const std::string& directory) { return directory + "/store"; }
std::string journal_of(const std::string& directory) { return directory + "/journal"; }

// A line of the journal: an operation, a point's id (or "-"), machine number, time, and its chunks'
// seeds.
std::string line_of(const std::string& operation, const std::string& id, const ModelPoint& point) {
  std::ostringstream line;
  line << operation << ' ' << id << ' ' << point.machine.back() << ' ' << point.time_ms << ' '
       << point.disks.size();
  for (const auto& [name, content] : point.disks) {
    line << ' ' << name << ' ' << content.size();
    for (uint32_t seed : content) line << ' ' << seed;
  }
  line << '\n';
  return line.str();
}

ModelPoint point_of(std::istringstream& line) {
  ModelPoint point;
  char machine = 0;
  size_t disk_count = 0;
  line >> machine >> point.time_ms >> disk_count;
  point.machine = std::string("machine ") + machine;
  for (size_t i = 0; i < disk_count; ++i) {
    std::string name;
    size_t size = 0;
    line >> name >> size;
    ModelContent content(size);
    for (uint32_t& seed : content) line >> seed;
    point.disks[name] = content;
  }
  return point;
}

// The journal is the whole expectation, written again around each step.
std::string text_of(const Expectation& expected) {
  std::string text = "begin\n";
  for (const auto& [id, point] : expected.points) text += line_of("has", id.hex(), point);
  for (const ModelPoint& point : expected.maybe_added) text += line_of("adds", "-", point);
  for (const auto& [id, point] : expected.maybe_deleted)
    text += line_of("deletes", id.hex(), point);
  return text + "end\n";
}

// The last whole one.
Expectation read_journal(const std::string& path) {
  std::ifstream in(path);
  Expectation whole, current;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string operation, id;
    words >> operation;
    if (operation == "begin") {
      current = {};
    } else if (operation == "end") {
      whole = current;
    } else {
      words >> id;
      ModelPoint point = point_of(words);
      if (operation == "adds") current.maybe_added.push_back(point);
      else
        (operation == "has" ? current.points : current.maybe_deleted)[PointId::from_hex(id)] =
            point;
    }
  }
  return whole;
}

void write_journal(int fd, const std::string& text) {
  CHECK(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// The helper that looks at an index ends with its parent, and with it the parent's lock: but not at
// once.
std::unique_ptr<StoreWriter> open_soon(const std::string& directory) {
  for (int attempt = 0;; ++attempt) {
    try {
      return StoreWriter::open(base::real_file_system(), store_of(directory), {}, "", kLimits);
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::busy || attempt == 100) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

// Works until it is killed. A second thread reads and compacts meanwhile.
int work(const std::string& directory, uint32_t seed) {
  base::UniqueFd journal(::open(journal_of(directory).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  CHECK(journal);
  StoreWorkload workload({.seed = seed, .chunk_count = 120, .most_points = 6});
  workload.expected = read_journal(journal_of(directory));
  // No two workers' points have one time, and none lies after kLatestTime_ms, where all would.
  workload.start_time(uint64_t{seed % 100'000} * 1'000'000);
  workload.on_change([&] { write_journal(journal.get(), text_of(workload.expected)); });
  while (true) {
    auto writer = open_soon(directory);
    std::jthread compacting([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        writer->compact({.rewrite_below = 0.9, .stop = stop});
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    });
    for (int i = 0; i < 6; ++i) workload.step(*writer);
    compacting.request_stop();
    compacting.join();
    workload.close();
    if (!workload.complaints.empty()) {
      std::cerr << workload.complaints.front() << "\n";
      return 1;
    }
  }
}

// Runs the worker for a while; true if it was killed, false if it failed.
bool run_and_kill(const std::string& program, const std::string& directory, uint32_t seed,
                  uint64_t life_ms) {
  pid_t worker = ::fork();
  CHECK(worker >= 0);
  if (worker == 0) {
    std::string number = std::to_string(seed);
    ::execl(program.c_str(), program.c_str(), "--work", directory.c_str(), number.c_str(), nullptr);
    ::_exit(127);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(life_ms));
  ::kill(worker, SIGKILL);
  int status = 0;
  CHECK(::waitpid(worker, &status, 0) == worker);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

std::vector<std::string> verify(const std::string& directory, Expectation& expected) {
  auto writer = open_soon(directory);
  std::vector<std::string> problems = settle(writer->reader(), expected);
  CheckReport report = writer->check({.deep = true, .on_progress = {}, .stop = {}});
  problems.insert(problems.end(), report.problems.begin(), report.problems.end());
  return problems;
}

int kill_often(const std::string& program, int kills, uint32_t seed, const std::string& parent) {
  base::ScratchDirectory scratch(parent, "muletto-kill-test");
  init_store(base::real_file_system(), store_of(scratch.path()), {.chunk_size = 4096});
  std::mt19937 random(seed);
  Expectation expected;
  uint64_t with_open_operation = 0, points_seen = 0;
  for (int number = 0; number < kills; ++number) {
    std::ofstream(journal_of(scratch.path())) << text_of(expected);
    // Some die while they still open the store.
    uint64_t life_ms = number % 5 == 0 ? random() % 20 : 20 + random() % 250;
    if (!run_and_kill(program, scratch.path(), seed * 1000 + static_cast<uint32_t>(number) + 1,
                      life_ms)) {
      std::cerr << "the worker failed by itself (kill " << number << ", seed " << seed << ")\n";
      return 1;
    }
    expected = read_journal(journal_of(scratch.path()));
    if (!expected.maybe_added.empty() || !expected.maybe_deleted.empty()) ++with_open_operation;
    std::vector<std::string> problems = verify(scratch.path(), expected);
    for (const std::string& problem : problems) std::cerr << problem << "\n";
    if (!problems.empty()) {
      std::cerr << "after kill " << number << ", seed " << seed << "\n";
      return 1;
    }
    points_seen += expected.points.size();
  }
  std::cout << kills << " kills, " << with_open_operation << " of them in a sync or a deletion; "
            << points_seen << " points read afterwards\n";
  if (with_open_operation * 10 < static_cast<uint64_t>(kills)) {
    std::cerr << "too few kills met an operation under way\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace images

int main(int argument_count, char** arguments) {
  std::vector<std::string> words(arguments + 1, arguments + argument_count);
  base::log().set_level(spdlog::level::off);
  try {
    if (words.size() == 3 && words[0] == "--work") {
      return images::work(words[1], static_cast<uint32_t>(std::stoul(words[2])));
    }
    int kills = words.empty() ? 200 : std::stoi(words[0]);
    uint32_t seed = words.size() < 2 ? std::random_device{}() % 1000000
                                     : static_cast<uint32_t>(std::stoul(words[1]));
    return images::kill_often("/proc/self/exe", kills, seed, words.size() < 3 ? "/tmp" : words[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
