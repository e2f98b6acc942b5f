#include "base/stop_signals.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>

#include "base/guarded_thread.h"

namespace base {
namespace {

constexpr int kEndedInOrder = 7;

// A process that is sent the signals one after the other; its exit code. After the first it works
// on for a while, as programs do that end in order.
int exit_code_after(SecondSignal second, std::initializer_list<int> signals) {
  std::array<int, 2> told{};
  REQUIRE(::pipe(told.data()) == 0);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    StopSignals watched(second);
    auto tell = [&] { return ::write(told[1], "x", 1) == 1; };
    bool good = tell() && watched.wait() == *signals.begin() && watched.token().stop_requested();
    std::stop_source nobody;
    good =
        good && tell() &&
        (signals.size() == 1 || sleep_unless_stopped(nobody.get_token(), std::chrono::seconds(1)));
    ::_exit(good ? kEndedInOrder : 1);
  }
  char word = 0;
  for (int number : signals) {
    REQUIRE(::read(told[0], &word, 1) == 1);  // it is ready for this one
    ::kill(child, number);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  for (int fd : told) ::close(fd);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("a signal to stop: the first asks, a second one ends a command, not a service") {
  for (int number : {SIGINT, SIGTERM, SIGHUP})
    CHECK(exit_code_after(SecondSignal::ends_program, {number}) == kEndedInOrder);
  CHECK(exit_code_after(SecondSignal::ends_program, {SIGTERM, SIGTERM}) == 130);
  CHECK(exit_code_after(SecondSignal::ends_program, {SIGHUP, SIGINT}) == 130);
  // A terminal that goes away sends more than one.
  CHECK(exit_code_after(SecondSignal::ends_program, {SIGHUP, SIGHUP}) == kEndedInOrder);
  CHECK(exit_code_after(SecondSignal::does_nothing, {SIGTERM, SIGINT}) == kEndedInOrder);
}

}  // namespace base
