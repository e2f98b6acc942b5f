#include "agent/orders/sync_processes.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <thread>

#include "agent/orders/sync_files.h"
#include "base/scratch_directory.h"

namespace agent::orders {
namespace {

using namespace std::chrono_literals;

// A sync played by a shell: $2 is the file with its rate, $4 the one for its position, $6 the
// machine.
SyncOrder make_order(uint64_t number, const std::string& machine, const std::string& script) {
  return {number, machine, {"/bin/sh", "-c", script, "sh"}};
}

template <typename Condition>
bool comes_true(Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

std::vector<SyncOutcome> collect_all(SyncProcesses& syncs, size_t count) {
  std::vector<SyncOutcome> outcomes;
  REQUIRE(comes_true([&] {
    for (SyncOutcome& outcome : syncs.collect()) outcomes.push_back(std::move(outcome));
    return outcomes.size() >= count;
  }));
  return outcomes;
}

}  // namespace

TEST_CASE("each ordered sync has an outcome, and leaves no file", "[agent]") {
  base::ScratchDirectory scratch("/tmp", "muletto-orders");
  const std::string directory = scratch.path() + "/orders";
  SyncProcesses syncs(directory);
  syncs.begin(make_order(1, "web", "exit 0"));
  syncs.begin(make_order(2, "db", "echo 'muletto-agent: the disk is away' >&2; exit 1"));
  syncs.begin(make_order(3, "mail", "exit 7"));
  syncs.begin({4, "none", {scratch.path() + "/no-such-program"}});
  syncs.refuse(5, "it does not run any more");
  std::map<uint64_t, SyncOutcome> outcomes;
  for (SyncOutcome& each : collect_all(syncs, 5)) outcomes[each.order] = std::move(each);
  CHECK(outcomes[1].succeeded);
  CHECK(outcomes[1].error.empty());
  CHECK_FALSE(outcomes[2].succeeded);
  CHECK_THAT(outcomes[2].error, Catch::Contains("the disk is away"));
  CHECK_THAT(outcomes[3].error, Catch::Contains("ended with status 7"));
  CHECK_FALSE(outcomes[4].succeeded);
  CHECK_FALSE(outcomes[4].error.empty());
  CHECK(outcomes[5].error == "it does not run any more");
  CHECK(syncs.collect().empty());
  CHECK(syncs.running().empty());
  CHECK(std::filesystem::is_empty(directory));
}

TEST_CASE("syncs share the rate, and say how far they are, until they are ended", "[agent]") {
  base::ScratchDirectory scratch("/tmp", "muletto-orders");
  const std::string directory = scratch.path() + "/orders";
  std::filesystem::create_directories(directory);
  write_position_file(directory + "/7.position", {1, 2});
  SyncProcesses syncs(directory);
  CHECK_FALSE(read_position_file(directory + "/7.position"));  // of an earlier process
  syncs.set_rate(1000);
  constexpr const char* kScript = "echo '5 10 .' > \"$4\"; exec sleep 60";
  syncs.begin(make_order(1, "db", kScript));
  CHECK(read_rate_file(directory + "/1.rate") == 1000);
  syncs.begin(make_order(2, "mail", kScript));
  CHECK(read_rate_file(directory + "/1.rate") == 500);
  CHECK(read_rate_file(directory + "/2.rate") == 500);
  syncs.set_rate(std::nullopt);
  CHECK(read_rate_file(directory + "/2.rate") == 0);
  REQUIRE(comes_true([&] {
    auto running = syncs.running();
    return running.size() == 2 && running[0].done == 5 && running[1].total == 10;
  }));
  CHECK(syncs.running()[1].machine == "mail");
  CHECK(syncs.descriptors().size() == 2);
  CHECK(syncs.collect().empty());
  syncs.end_all();
  CHECK(syncs.running().empty());
  CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("a half-written file of a sync is no answer", "[agent]") {
  base::ScratchDirectory scratch("/tmp", "muletto-orders");
  const std::string path = scratch.path() + "/file";
  CHECK_FALSE(read_position_file(path));
  CHECK_FALSE(read_rate_file(path));
  write_position_file(path, {5, 10});
  CHECK(read_position_file(path)->total == 10);
  std::filesystem::resize_file(path, 3);
  CHECK_FALSE(read_position_file(path));
  write_rate_file(path, 12);
  CHECK(read_rate_file(path) == 12);
  std::filesystem::resize_file(path, 1);
  CHECK_FALSE(read_rate_file(path));
}

}  // namespace agent::orders
