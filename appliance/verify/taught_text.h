// Texts that mean "up" or "down" for one machine, because a person said so about one of its test
// boots. A text is kept as a few normalised lines: lower case, without clocks, numbers, addresses and
// the machine's names, so that the same screen of tomorrow is the same text. Lines come from a guest
// or from text recognition: they are compared with a little tolerance, and everything is bounded.
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/verify/console_text.h"

namespace appliance::verify {

struct TaughtText {
  int64_t number = 0;
  bool means_up = true;  // otherwise: down
  std::vector<std::string>
      lines;  // as normalised_line(); all of them must be there, or most of many
  // Lines of the kernel's trouble that no longer count as trouble, on any console of the machine.
  // They are compared exactly: the same error of another device is another error.
  std::vector<std::string> tolerated;
};

// What was taught about one machine.
struct TaughtTexts {
  std::vector<TaughtText> rules;   // the first one that fits counts
  std::vector<std::string> names;  // of the machine: they are not part of any text
};

constexpr size_t kTaughtLines = 8;         // at most; those with the most letters
constexpr size_t kToleratedLines = 8;      // at most
constexpr size_t kTaughtLineSize = 100;    // bytes; longer lines are cut
constexpr size_t kTaughtLetters = 10;      // fewer in all lines together mean nothing
constexpr size_t kTaughtWords = 2;         // as do fewer different words
constexpr size_t kTaughtScreenLines = 60;  // of a text, the last ones, that rules are compared with

// The names by which a machine calls itself, as far as they follow from its name here: "web.acme.com"
// and "web".
std::vector<std::string> names_of_machine(const std::string& machine_name);

// The line in lower case with its words alone; empty if nothing is left. `names` are dropped.
std::string normalised_line(std::string_view line, const std::vector<std::string>& names);

struct Lesson {
  std::vector<std::string> lines;  // empty if there is nothing to teach; then `problem` says why
  std::vector<std::string> tolerated;  // as TaughtText::tolerated; only if that was asked for
  std::string problem;                 // a sentence
  std::string trouble;                 // a line of trouble in the text, if there was one
};
struct LessonOptions {
  bool means_up = true;
  bool outvotes_trouble = false;
  std::string only;  // teach only lines that contain this; empty: all that are worth it
  std::vector<std::string> names;
};
// What can be learned from a console's text. Start messages and words of trouble never mean "up",
// login prompts never mean "down".
Lesson lesson_of(std::string_view text, const LessonOptions& options);

// As read_console(), with what was taught; the first rule that fits counts. A text with trouble in it
// never becomes "up", but lines that are tolerated are complaints instead of trouble.
// `TextReading::rule` is the number of the rule that decided.
TextReading read_with_rules(std::string_view text, const TaughtTexts& taught);

// Observation::subject of what was read: "rule 3", or empty.
std::string rule_subject(const TextReading& reading);

}  // namespace appliance::verify
