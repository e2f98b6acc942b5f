#include "base/subprocess.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/text.h"

namespace base {
namespace {

// What a shell script says into $1, until nothing has it open any more.
std::string words_of(const std::string& script, Lifetime lifetime, pid_t& started) {
  std::array<int, 2> ends;
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::string place = "/dev/fd/" + std::to_string(in.get());
  Subprocess process({"sh", "-c", script, "sh", place},
                     {.lifetime = lifetime, .inherited_fds = {in.get()}});
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

}  // namespace
}  // namespace base
