#include "appliance/verify/taught_text.h"

#include <catch2/catch.hpp>

#include <string>

namespace appliance::verify {
namespace {

const std::vector<std::string> kNames{"till4.acme.com", "till4"};
const std::string kTill =
    "ACME till 4 (till4)      Mon Nov 23 10:21:33 2026\n"
    "Drawer closed. Ready for the next customer.\n"
    "Receipt 00123";

TaughtTexts taught_from(const std::string& text, bool means_up, bool outvotes = false) {
  LessonOptions options{means_up, outvotes, "", kNames};
  TaughtTexts taught{{}, kNames};
  Lesson lesson = lesson_of(text, options);
  taught.rules.push_back({3, means_up, lesson.lines, lesson.tolerated});
  return taught;
}

TextMeaning meaning_of(const std::string& text, const TaughtTexts& taught) {
  return read_with_rules(text, taught).meaning;
}

}  // namespace

TEST_CASE("a taught text is known again with another clock, number and misread letter",
          "[verify]") {
  TaughtTexts taught = taught_from(kTill, true);
  REQUIRE(taught.rules[0].lines.size() == 3);
  // "till" is the name of the machine, as "till4" is.
  CHECK(taught.rules[0].lines[0] == "acme");
  TextReading reading = read_with_rules(
      "ACME till 4 (till4)      Tue Nov 24 22:05:01 2026\n"
      "Drawer closed. Ready for the next cust0mer.\n"
      "Receipt 99871\n",
      taught);
  CHECK(reading.meaning == TextMeaning::taught_up);
  CHECK(reading.rule == 3);
  CHECK(rule_subject(reading) == "rule 3");
  CHECK(meaning_of("ACME till 4\nDrawer open. Out of order.\n", taught) == TextMeaning::other);
  CHECK(meaning_of("", taught) == TextMeaning::nothing);
  CHECK(meaning_of("Booting from Hard Disk...", taught) == TextMeaning::booting);
}

TEST_CASE("nothing is taught by an empty or trivial screen", "[verify]") {
  for (const char* text : {"", "   \n\n", "10:21:33", "OK", "READY", "till4", "- - - -",
                           "a b c d e f", "12:00 till4 2026-11-23", "ok ok ok ok ok ok"}) {
    INFO(text);
    Lesson lesson = lesson_of(text, {true, false, "", kNames});
    CHECK(lesson.lines.empty());
    CHECK_FALSE(lesson.problem.empty());
  }
  // A rule that came from elsewhere and is trivial fits nothing.
  for (const std::vector<std::string>& lines :
       {std::vector<std::string>{}, {""}, {"ok"}, {"a"}, {"ready"}}) {
    TaughtTexts taught{{{1, true, lines, {}}}, {}};
    CHECK(meaning_of("", taught) == TextMeaning::nothing);
    CHECK(meaning_of("ok\nready\na\n", taught) != TextMeaning::taught_up);
  }
}

TEST_CASE("a start that continues never means up, and a login prompt never means down",
          "[verify]") {
  CHECK(lesson_of(
            "Booting from Hard Disk...\nLoading Linux 6.1.0-13 ...\n[    1.234567] usb 1-1: new\n",
            {true, false, "", {}})
            .lines.empty());
  Lesson down = lesson_of("Debian GNU/Linux 12 web tty1\n\nweb login: ", {false, false, "", {}});
  CHECK(down.lines.empty());
  CHECK_THAT(down.problem, Catch::Contains("verify checks"));
  // A person may name the text that means it.
  std::string offline = "DATABASE OFFLINE, call support\n\nweb login: ";
  Lesson named = lesson_of(offline, {false, false, "database offline", {}});
  REQUIRE(named.lines.size() == 1);
  TaughtTexts taught{{{5, false, named.lines, {}}}, {}};
  CHECK(meaning_of(offline, taught) == TextMeaning::taught_down);
  CHECK(meaning_of("web login: ", taught) == TextMeaning::login);
  CHECK(lesson_of(offline, {false, false, "not there", {}}).lines.empty());
}

TEST_CASE("a taught text never outvotes the kernel's words of trouble, unless it is told to",
          "[verify]") {
  const std::string trouble = "EXT4-fs error (device sr0): ext4_lookup: iget: checksum invalid";
  const std::string screen = kTill + "\n[   55.123456] " + trouble + "\n";
  TaughtTexts taught = taught_from(kTill, true);
  CHECK_FALSE(read_with_rules(screen, taught).disk_error.empty());
  CHECK(meaning_of(screen, taught) != TextMeaning::taught_up);
  CHECK(meaning_of(kTill + "\nKernel panic - not syncing: Fatal exception\n", taught) ==
        TextMeaning::kernel_panic);
  // Taught with the trouble on the screen, but without being told: the same.
  taught = taught_from(screen, true);
  CHECK(meaning_of(screen, taught) != TextMeaning::taught_up);
  taught = taught_from(screen, true, true);
  TextReading reading = read_with_rules(screen, taught);
  CHECK(reading.meaning == TextMeaning::taught_up);
  CHECK(reading.disk_error.empty());
  REQUIRE(reading.complaints.size() == 1);
  CHECK_THAT(reading.complaints[0], Catch::Contains("EXT4-fs error"));
  // The same error of another device, and other trouble, count as ever.
  CHECK_FALSE(
      read_with_rules(
          kTill + "\nEXT4-fs error (device sda1): ext4_lookup: iget: checksum invalid\n", taught)
          .disk_error.empty());
  CHECK(meaning_of(screen + "Kernel panic - not syncing: Fatal exception\n", taught) ==
        TextMeaning::kernel_panic);
  CHECK_FALSE(read_with_rules(screen + "XFS (vdb1): Metadata corruption detected\n", taught)
                  .disk_error.empty());
}

TEST_CASE("a hostile screen costs a bounded time and size", "[verify]") {
  std::string noise;
  for (int i = 0; i < 20'000; ++i)
    noise += "word" + std::string(200, static_cast<char>('a' + i % 26)) + "\n";
  Lesson lesson = lesson_of(noise, {true, false, "", {}});
  CHECK(lesson.lines.size() <= kTaughtLines);
  for (const std::string& line : lesson.lines) CHECK(line.size() <= kTaughtLineSize);
  TaughtTexts taught{{}, {}};
  for (int i = 0; i < 20; ++i)
    taught.rules.push_back(
        {i + 1,
         true,
         std::vector<std::string>(
             kTaughtLines, std::string(kTaughtLineSize / 2, 'x') + " " + std::string(40, 'y')),
         {}});
  CHECK(read_with_rules(noise, taught).rule == 0);
  CHECK(read_with_rules(std::string(1 << 20, 'x'), taught).rule == 0);
  CHECK(read_with_rules(std::string(1 << 16, '\n'), taught).rule == 0);
}

}  // namespace appliance::verify
