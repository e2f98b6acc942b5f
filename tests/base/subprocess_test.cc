#include "base/subprocess.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>

#include "base/error.h"
#include "base/text.h"

namespace base {
namespace {

// What a shell script says into $1, until nothing has it open any more.
std::string words_of(const std::string& script, Lifetime lifetime, pid_t& started,
                     std::vector<int> inherited = {}) {
  std::array<int, 2> ends;
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::string place = "/dev/fd/" + std::to_string(in.get());
  inherited.push_back(in.get());
  Subprocess process({"sh", "-c", script, "sh", place},
                     {.lifetime = lifetime, .inherited_fds = inherited});
  started = process.pid();
  in.reset();
  std::string words;
  std::array<char, 256> buffer;
  for (ssize_t count; (count = ::read(out.get(), buffer.data(), buffer.size())) > 0;)
    words.append(buffer.data(), static_cast<size_t>(count));
  CHECK(process.wait_for(std::chrono::seconds(20)) == 0);
  return trim(words);
}

TEST_CASE("an orphan never sees the process that made it") {
  for (int i = 0; i < 100; ++i) {
    pid_t go_between = 0;
    std::string parent = words_of(
        "read -r pid name state parent rest < /proc/self/stat; "
        "echo $parent > $1",
        Lifetime::orphaned, go_between);
    CHECK(parent != std::to_string(go_between));
    CHECK(parent != std::to_string(::getpid()));
  }
}

TEST_CASE("a process that is not to outlive us is our child") {
  pid_t child = 0;
  std::string words = words_of("echo $PPID $$ > $1", Lifetime::with_parent, child);
  CHECK(words == std::to_string(::getpid()) + " " + std::to_string(child));
}

TEST_CASE("a program that is not there is told, whoever would be its parent") {
  for (Lifetime lifetime : {Lifetime::with_parent, Lifetime::independent, Lifetime::orphaned}) {
    try {
      Subprocess process({"muletto-no-such-program"}, {.lifetime = lifetime});
      FAIL("it was started");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_found);
    }
  }
}

TEST_CASE("a child has only the descriptors that it is given by name") {
  // Without O_CLOEXEC, as a library or another thread may have opened it.
  UniqueFd stray(::open("/etc/hostname", O_RDONLY));
  UniqueFd high(::fcntl(stray.get(), F_DUPFD, 700));
  UniqueFd given(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  REQUIRE(high.get() >= 700);
  std::string script = "for fd in /proc/$$/fd/*; do readlink $fd; done";
  auto has = [](const std::string& words, const std::string& file) {
    return words.find(file) != std::string::npos;
  };
  for (Lifetime lifetime : {Lifetime::with_parent, Lifetime::independent, Lifetime::orphaned}) {
    pid_t started = 0;
    std::string seen =
        words_of("words=$(" + script + "); echo \"$words\" > $1", lifetime, started, {given.get()});
    CHECK(has(seen, "/etc/passwd"));
    CHECK_FALSE(has(seen, "/etc/hostname"));
  }
  CommandResult result = run_command({"sh", "-c", script});
  CHECK(has(result.output, "pipe:"));
  CHECK_FALSE(has(result.output, "/etc/hostname"));
  CHECK_FALSE(has(result.output, "/etc/passwd"));
}

TEST_CASE("no signal is blocked or ignored in a child, whatever is in this process") {
  sigset_t blocked, former;
  sigemptyset(&blocked);
  for (int number : {SIGTERM, SIGUSR1, SIGRTMIN + 3}) sigaddset(&blocked, number);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &former);
  auto former_usr2 = std::signal(SIGUSR2, SIG_IGN);
  CommandResult result = run_command({"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  std::signal(SIGUSR2, former_usr2);
  ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
  CHECK(result.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("an orphan does not keep our working folder busy") {
  pid_t started = 0;
  CHECK(words_of("pwd > $1", Lifetime::orphaned, started) == "/");
}

TEST_CASE("a command's time is over also when it has closed its streams") {
  auto begin = std::chrono::steady_clock::now();
  try {
    run_command({"sh", "-c", "exec >&- 2>&-; sleep 60"}, std::chrono::milliseconds(300));
    FAIL("it was waited for");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("what a command leaves in the background does not hold its caller") {
  auto begin = std::chrono::steady_clock::now();
  CommandResult result = run_command({"sh", "-c", "echo done; sleep 6 & exit 3"});
  CHECK(result.status == 3);
  CHECK(result.output == "done\n");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a command that is killed after its time takes along what it started") {
  std::array<int, 2> ends;
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::string held = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(in.get());
  CHECK_THROWS_AS(run_command({"sh", "-c", "exec 3> \"$1\"; sleep 60 & wait", "sh", held},
                              std::chrono::milliseconds(300)),
                  Error);
  in.reset();
  // Ends when nobody has the other end open any more.
  char byte;
  CHECK(::read(out.get(), &byte, 1) == 0);
}

}  // namespace
}  // namespace base
