#include "appliance/verify/taught_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <set>

#include "base/clean_text.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

constexpr size_t kFewestLetters = 4;    // of a line worth remembering
constexpr size_t kLettersPerError = 8;  // text recognition may misread one letter in so many
constexpr size_t kSerialDigits = 3;     // a word with that many digits is a number of something

constexpr std::array<std::string_view, 19> kClockWords{
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "oct", "nov",
    "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "utc"};

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// The letters of a word; nothing if it is a number, a clock, a date or an identity.
std::string letters_of(std::string_view word, const std::vector<std::string>& names) {
  size_t digits = 0, others = 0;
  std::string letters;
  for (char c : word) {
    if (is_digit(c)) ++digits;
    // Recognition reads 0 as o, and 1 as l or i.
    else if (is_letter(c) && c != 'o' && c != 'l' && c != 'i') ++others;
    if (is_letter(c)) letters += c;
  }
  if (digits >= kSerialDigits || (digits > 0 && others == 0)) return "";
  bool is_clock = std::find(kClockWords.begin(), kClockWords.end(), letters) != kClockWords.end();
  bool is_name = std::find(names.begin(), names.end(), letters) != names.end();
  return is_clock || is_name || letters.size() < 2 ? "" : letters;
}

// Names with digits and hyphens are compared by their letters, as words are.
std::vector<std::string> lettered(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    std::string letters, lower = lowered(name);
    std::copy_if(lower.begin(), lower.end(), std::back_inserter(letters), is_letter);
    if (letters.size() >= 2) result.push_back(std::move(letters));
  }
  return result;
}

std::string joined_words(std::string_view line, const std::vector<std::string>& names) {
  std::string lower = lowered(line.substr(0, 4 * kTaughtLineSize)), result;
  for (size_t i = 0; i < lower.size();) {
    size_t end = std::min(lower.find_first_of(" \t@:/", i), lower.size());
    // A clock or an address is one word.
    while (end < lower.size() && lower[end] == ':' && end > i && is_digit(lower[end - 1]) &&
           end + 1 < lower.size() && is_digit(lower[end + 1]))
      end = std::min(lower.find_first_of(" \t@:/", end + 1), lower.size());
    std::string word = letters_of(std::string_view(lower).substr(i, end - i), names);
    if (!word.empty() && result.size() + word.size() < kTaughtLineSize)
      result += (result.empty() ? "" : " ") + word;
    i = end + 1;
  }
  return result;
}

std::vector<std::string_view> last_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t end = text.size(); lines.size() < kTaughtScreenLines;) {
    size_t begin = end == 0 ? std::string_view::npos : text.rfind('\n', end - 1);
    size_t from = begin == std::string_view::npos ? 0 : begin + 1;
    if (end > from) lines.push_back(text.substr(from, end - from));
    if (begin == std::string_view::npos) break;
    end = begin;
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

// The number of changed letters that make one of the other, if at most `limit`; else more than it.
size_t distance(std::string_view a, std::string_view b, size_t limit) {
  if (a.size() > b.size() + limit || b.size() > a.size() + limit) return limit + 1;
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    size_t best = row[0];
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
      best = std::min(best, row[j]);
    }
    if (best > limit) return limit + 1;
  }
  return row.back();
}

bool is_same_line(std::string_view a, std::string_view b) {
  size_t limit = std::max(a.size(), b.size()) / kLettersPerError;
  return distance(a, b, limit) <= limit;
}

size_t letter_count(std::string_view line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), is_letter));
}

bool contains(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

bool is_trivial(const std::vector<std::string>& lines) {
  size_t letters = 0;
  std::set<std::string> words;
  for (const std::string& line : lines) {
    letters += letter_count(line);
    for (size_t i = 0; i < line.size();) {
      size_t end = std::min(line.find(' ', i), line.size());
      words.insert(line.substr(i, end - i));
      i = end + 1;
    }
  }
  return letters < kTaughtLetters || words.size() < kTaughtWords;
}

// Keeps those with the most letters, in their order.
void keep_longest(std::vector<std::string>& lines) {
  while (lines.size() > kTaughtLines) {
    lines.erase(std::min_element(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
      return letter_count(a) < letter_count(b);
    }));
  }
}

bool is_trouble(const TextReading& reading) {
  return means_failure(reading.meaning) || !reading.disk_error.empty();
}

struct Line {
  std::string_view shown;
  std::string words;
};

// Few lines must all be there; of many, text recognition may miss some.
bool fits(const TaughtText& rule, const std::vector<Line>& lines, std::string& shown) {
  if (is_trivial(rule.lines)) return false;
  size_t found = 0;
  for (const std::string& each : rule.lines) {
    auto line = std::find_if(lines.begin(), lines.end(),
                             [&](const Line& other) { return is_same_line(each, other.words); });
    if (line == lines.end()) continue;
    if (found++ == 0) shown = base::trim(line->shown);
  }
  size_t needed = rule.lines.size() <= 3 ? rule.lines.size() : (rule.lines.size() * 3 + 3) / 4;
  return found >= needed;
}

bool is_tolerated(const std::string& words, const TaughtTexts& taught) {
  return std::any_of(taught.rules.begin(), taught.rules.end(), [&](const TaughtText& rule) {
    return std::find(rule.tolerated.begin(), rule.tolerated.end(), words) != rule.tolerated.end();
  });
}

// The text without its tolerated lines of trouble, which are added to `tolerated`.
std::string without_tolerated(const std::string& text, const TaughtTexts& taught,
                              const std::vector<std::string>& names,
                              std::vector<std::string>& tolerated) {
  std::string kept;
  for (size_t i = 0; i < text.size();) {
    size_t end = std::min(text.find('\n', i), text.size());
    std::string_view line = std::string_view(text).substr(i, end - i);
    if (is_trouble(read_console(line)) && is_tolerated(joined_words(line, names), taught)) {
      tolerated.push_back(base::clean_text(base::trim(line), kTaughtLineSize));
    } else {
      kept.append(line).push_back('\n');
    }
    i = end + 1;
  }
  return kept;
}

}  // namespace

std::string rule_subject(const TextReading& reading) {
  return reading.rule == 0 ? "" : fmt::format("rule {}", reading.rule);
}

std::vector<std::string> names_of_machine(const std::string& machine_name) {
  std::vector<std::string> names{machine_name};
  if (size_t dot = machine_name.find('.'); dot != std::string::npos && dot > 0)
    names.push_back(machine_name.substr(0, dot));
  return names;
}

std::string normalised_line(std::string_view line, const std::vector<std::string>& names) {
  return joined_words(line, lettered(names));
}

Lesson lesson_of(std::string_view raw, const LessonOptions& options) {
  Lesson lesson;
  std::string text = plain_text(raw), wanted = lowered(options.only);
  std::vector<std::string> names = lettered(options.names);
  bool asks_for_user = read_console(text).meaning == TextMeaning::login;
  if (!options.means_up && asks_for_user && wanted.empty()) {
    lesson.problem =
        "The screen asks for a user, as it does on a healthy machine: nothing on it means down by "
        "itself. Name the text that does, or require a check ('muletto verify checks').";
    return lesson;
  }
  for (std::string_view line : last_lines(text)) {
    TextReading reading = read_console(line);
    std::string words = joined_words(line, names);
    bool trouble = is_trouble(reading);
    if (trouble && lesson.trouble.empty()) lesson.trouble = base::trim(line);
    if (trouble && options.means_up) {
      bool has_room = lesson.tolerated.size() < kToleratedLines;
      if (options.outvotes_trouble && has_room && !contains(lesson.tolerated, words))
        lesson.tolerated.push_back(std::move(words));
      continue;
    }
    if (!wanted.empty() && lowered(line).find(wanted) == std::string::npos) continue;
    if (options.means_up && reading.meaning == TextMeaning::booting) continue;
    if (!options.means_up && reading.meaning == TextMeaning::login) continue;
    if (letter_count(words) >= kFewestLetters && !contains(lesson.lines, words))
      lesson.lines.push_back(std::move(words));
  }
  keep_longest(lesson.lines);
  if (!is_trivial(lesson.lines)) return lesson;
  lesson.lines.clear();
  lesson.problem = wanted.empty() ? "There is too little text that could be known again."
                                  : fmt::format(
                                        "There is too little text with \"{}\" that could be known "
                                        "again.",
                                        options.only);
  return lesson;
}

TextReading read_with_rules(std::string_view raw, const TaughtTexts& taught) {
  if (taught.rules.empty()) return read_console(raw);
  std::string text = plain_text(raw);
  std::vector<std::string> names = lettered(taught.names), tolerated;
  bool tolerates = std::any_of(taught.rules.begin(), taught.rules.end(),
                               [](const TaughtText& rule) { return !rule.tolerated.empty(); });
  if (tolerates) text = without_tolerated(text, taught, names, tolerated);
  TextReading reading = read_console(text);
  for (std::string& each : tolerated) {
    if (reading.complaints.size() < kMaxComplaints) reading.complaints.push_back(std::move(each));
  }
  if (is_trouble(reading)) return reading;
  std::vector<Line> lines;
  for (std::string_view each : last_lines(text)) {
    std::string words = joined_words(each, names);
    if (!words.empty()) lines.push_back({each, std::move(words)});
  }
  std::string shown;
  for (const TaughtText& rule : taught.rules) {
    if (!fits(rule, lines, shown)) continue;
    reading.meaning = rule.means_up ? TextMeaning::taught_up : TextMeaning::taught_down;
    reading.line = base::clean_text(shown, kTaughtLineSize);
    reading.rule = rule.number;
    return reading;
  }
  return reading;
}

}  // namespace appliance::verify
