#include "base/guarded_thread.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>
#include <thread>

#include "base/internal_errors.h"

namespace base {
namespace {

uint64_t errors_of(const std::string& place) {
  uint64_t count = 0;
  for (const InternalError& each : internal_errors()) count += each.place == place ? each.count : 0;
  return count;
}

}  // namespace

TEST_CASE("a thread whose body throws is begun again, and its failure is reported", "[threads]") {
  std::atomic<int> begun = 0;
  GuardedThread thread("guarded test", AfterFailure::begin_again, [&](const std::stop_token& stop) {
    if (++begun == 1) throw std::bad_alloc();
    sleep_unless_stopped(stop, std::chrono::minutes(1));
  });
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (begun < 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(begun == 2);
  CHECK(errors_of("guarded test") == 1);
}

TEST_CASE("a thread of one task ends when its body throws, also what is no exception",
          "[threads]") {
  std::atomic<int> begun = 0;
  GuardedThread thread("guarded test of 7", AfterFailure::end, [&](const std::stop_token&) {
    ++begun;
    throw 7;
  });
  thread.join();
  CHECK(begun == 1);
  CHECK(errors_of("guarded test of 7") == 1);
}

TEST_CASE("a thread that waits to begin again ends at once when it is to stop", "[threads]") {
  auto begin = std::chrono::steady_clock::now();
  {
    GuardedThread thread("guarded test of a pause", AfterFailure::begin_again,
                         [](const std::stop_token&) { throw std::runtime_error("no"); });
    while (errors_of("guarded test of a pause") == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(900));
}

TEST_CASE("failures of one place are counted, and the places are bounded", "[threads]") {
  for (size_t i = 0; i < kMaxInternalErrorPlaces + 10; ++i)
    report_internal_error("place " + std::to_string(i), "words");
  report_internal_error("place 70", "other words");
  CHECK(internal_errors().size() == kMaxInternalErrorPlaces);
  CHECK(errors_of("place 70") == 2);
}

}  // namespace base
