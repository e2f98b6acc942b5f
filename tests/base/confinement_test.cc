// What a confined command can still do. Needs root.
#include "base/confinement.h"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <fstream>

#include "base/clean_text.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "tests/skip.h"

namespace base {
namespace {

CommandResult run_shell(const std::string& words, const Confinement& confinement = {}) {
  return run_command(confined({"sh", "-c", words}, confinement), std::chrono::seconds(60));
}

}  // namespace

TEST_CASE("a confined command has no rights, and sees nobody", "[confinement]") {
  SKIP_UNLESS(tests::is_root(), "it needs root");
  CommandResult seen = run_shell(
      "id -u; id -G; grep -c . /proc/net/dev; echo /proc/[0-9]* | wc -w; "
      "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status");
  INFO(seen.output << seen.errors);
  std::vector<std::string> lines = split(seen.output, '\n');
  REQUIRE(lines.size() >= 8);
  CHECK(std::stoul(lines[0]) >= 0x70000000);
  CHECK(lines[1] == lines[0]);
  CHECK(std::stoi(lines[3]) <= 4);  // itself, its helpers, and the first process
  CHECK(seen.output.find("CapEff:\t0000000000000000") != std::string::npos);
  CHECK(seen.output.find("CapBnd:\t0000000000000000") != std::string::npos);
  CHECK(seen.output.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(seen.output.find("Seccomp:\t2") != std::string::npos);

  // Two have different users: none can trace or read the other.
  CHECK(run_shell("id -u").output != run_shell("id -u").output);

  for (const char* forbidden :
       {"echo x > /etc/muletto-test", "echo x > /var/tmp/muletto-test", "cat /etc/shadow",
        "unshare -U true", "mount -t tmpfs x /tmp", "chroot / true", "ls /run/*",
        "test -e /dev/kvm", "test -e /dev/fuse", "ip link add x type dummy"}) {
    INFO(forbidden);
    CHECK(run_shell(forbidden).status != 0);
  }
  CHECK(run_shell("echo x > /tmp/mine && cat /tmp/mine").output == "x\n");
}

TEST_CASE("a confined command is bounded, and tells how it ended", "[confinement]") {
  SKIP_UNLESS(tests::is_root(), "it needs root");
  CHECK(run_shell("exit 7").status == 7);
  CHECK(run_shell("kill -SEGV $$").status == 128 + 11);
  CHECK(run_command(confined({"muletto-no-such-program"})).status == 127);
  CHECK(run_command(confined({"/nowhere/program"})).status == 127);
  CHECK(run_shell("head -c 40000000 /dev/zero > /tmp/large", {.file_size = 1 << 20}).status != 0);
  CHECK(run_shell("while :; do :; done", {.processor_time = std::chrono::seconds(1)}).status > 128);
  CHECK(run_shell("sleep 100 & sleep 100 & exit 3").status == 3);  // and nobody is left

  ScratchDirectory scratch("/var/tmp", "muletto-confined-test");
  std::ofstream(scratch.path() + "/secret") << "word";
  Confinement confinement;
  confinement.input_path = scratch.path() + "/secret";
  CHECK(run_shell("cat; cat " + scratch.path() + "/secret 2> /dev/null || echo no", confinement)
            .output == "wordno\n");
  confinement.input_path = scratch.path() + "/missing";
  CommandResult refused = run_shell("true", confinement);
  CHECK(refused.status == kNotConfined);
  CHECK(refused.errors.find("cannot read") != std::string::npos);
}

TEST_CASE("words from outside are made clean", "[text]") {
  CHECK(clean_text("plain", 100) == "plain");
  CHECK(clean_text("a\nb\x1b[1mc\x7f", 100) == "a b [1mc ");
  CHECK(clean_text("\xed\xa0\x80x\xff", 100) ==
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\xef\xbf\xbd");
  CHECK(clean_text("abcdefgh", 6) == "abc\xe2\x80\xa6");
  for (size_t limit = 0; limit < 40; ++limit) {
    std::string text =
        clean_text("\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac\xff\xf0\x9f\x98\x80 end", limit);
    CHECK(text.size() <= limit);
    CHECK(is_valid_utf8(text));
  }
}

}  // namespace base
