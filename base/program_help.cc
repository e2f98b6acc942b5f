#include "base/program_help.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace base {
namespace {

constexpr size_t kHelpColumn = 26;     // where the meaning of an option begins
constexpr size_t kCommandColumn = 24;  // … of a command

std::string option_words(const OptionDescription& option) {
  std::string words = option.letter.empty() ? "" : fmt::format("-{}, ", option.letter);
  words += "--" + option.name;
  return option.takes_value() ? words + " " + option.value : words;
}

std::string option_meaning(const OptionDescription& option) {
  std::string meaning = option.help;
  if (option.required) meaning += "; required";
  if (option.repeatable) meaning += "; may be repeated";
  if (!option.default_value.empty()) meaning += fmt::format(" (default: {})", option.default_value);
  return meaning;
}

// As a terminal counts them, of text without wide letters.
size_t columns(std::string_view text) {
  auto begins_letter = [](unsigned char byte) { return (byte & 0xc0) != 0x80; };
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_letter));
}

// A row of a list: what, then its meaning in a column of its own.
std::string row(const std::string& what, std::string_view meaning, size_t column) {
  std::string line = "  " + what;
  size_t width = columns(line);
  line += width + 2 > column ? "\n" + std::string(column, ' ') : std::string(column - width, ' ');
  return line + wrap_text(meaning, column) + "\n";
}

std::string option_list(const CommandDescription& command, OptionGroup first, OptionGroup last) {
  std::string list;
  for (const OptionDescription& option : command.options) {
    if (option.group != first && option.group != last) continue;
    list += row(option_words(option), option_meaning(option), kHelpColumn);
  }
  return list;
}

std::string exit_code_sentence() {
  std::string sentence = "Exit codes: ";
  for (const Reference& code : exit_codes()) {
    if (!sentence.ends_with(' ')) sentence += ", ";
    sentence += code.name + " " + code.meaning;
  }
  return wrap_text(sentence + ".", 0);
}

}  // namespace

std::string wrap_text(std::string_view text, size_t indent, size_t width) {
  std::string wrapped, margin(indent, ' ');
  size_t column = indent;
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = rest.find_first_of(" \n");
    std::string_view word = rest.substr(0, end);
    if (!word.empty()) {
      if (column > indent && column + 1 + columns(word) > width) {
        wrapped += "\n" + margin;
        column = indent;
      }
      if (column > indent) {
        wrapped += ' ';
        ++column;
      }
      wrapped += word;
      column += columns(word);
    }
    if (end == std::string_view::npos) break;
    if (rest.substr(end).starts_with("\n\n")) {
      wrapped += "\n\n" + margin;
      column = indent;
      ++end;
    }
    rest.remove_prefix(end + 1);
  }
  return wrapped;
}

std::vector<std::string> usage_words(const Program& program, const CommandDescription& command) {
  std::vector<std::string> words;
  for (const WordDescription& word : command.words) {
    std::string text = word.name + (word.repeated ? "..." : "");
    words.push_back(word.optional ? "[" + text + "]" : text);
  }
  auto add = [&](const OptionDescription& option) {
    std::string text = "--" + option.name;
    if (option.takes_value()) text += " " + option.value;
    if (!option.required) text = "[" + text + "]";
    words.push_back(option.repeatable ? text + "..." : text);
  };
  bool has_shared = false;
  for (const OptionDescription& option : command.options) {
    if (option.group == OptionGroup::own && option.required) add(option);
    has_shared = has_shared || option.group == OptionGroup::shared;
  }
  for (const OptionDescription& option : command.options) {
    if (option.group == OptionGroup::own && !option.required) add(option);
  }
  if (has_shared) {
    std::string title = program.shared.title;
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char letter) { return std::tolower(letter); });
    words.push_back("[" + title + "]");
  }
  for (const OptionDescription& option : command.options) {
    if (option.group == OptionGroup::general && option.takes_value()) add(option);
  }
  return words;
}

std::string usage_line(const Program& program, const CommandDescription& command) {
  constexpr size_t kIndent = 10;
  std::string line = "usage: " + program.name;
  if (!command.name.empty()) line += " " + command.name;
  size_t column = line.size();
  for (const std::string& word : usage_words(program, command)) {
    if (column + 1 + columns(word) > kHelpWidth) {
      line += "\n" + std::string(kIndent - 1, ' ');
      column = kIndent - 1;
    }
    line += " " + word;
    column += 1 + columns(word);
  }
  return line + "\n";
}

std::string command_help(const Program& program, const Command& command) {
  CommandDescription description = describe(program, command);
  std::string text = usage_line(program, description);
  text += "\n" + wrap_text(description.summary + ".", 0) + "\n";
  text += "\nOptions:\n" + option_list(description, OptionGroup::own, OptionGroup::general);
  std::string shared = option_list(description, OptionGroup::shared, OptionGroup::shared);
  if (!shared.empty()) text += "\n" + program.shared.title + ":\n" + shared;
  if (!description.notes.empty()) text += "\n" + wrap_text(description.notes, 0) + "\n";
  return text;
}

std::string overview(const Program& program, const std::string& noun) {
  std::string name = noun.empty() ? program.name : program.name + " " + noun;
  std::string meaning = program.summary;
  for (const Reference& reference : program.nouns) {
    if (!noun.empty() && reference.name == noun) meaning = reference.meaning;
  }
  std::string text =
      fmt::format("{}: {}\n\nusage: {} COMMAND [argument...] [option...]\n\n", name, meaning, name);
  std::string last;
  for (const Command* command : commands_by_noun(program)) {
    if (!noun.empty() && noun_of(*command) != noun) continue;
    // A few commands need no gaps to be found.
    constexpr size_t kManyCommands = 10;
    if (!last.empty() && noun_of(*command) != last && program.commands.size() > kManyCommands)
      text += "\n";
    last = noun_of(*command);
    text += row(command->name, command->summary, kCommandColumn);
  }
  text += fmt::format("\n'{} COMMAND --help' explains a command.", name);
  if (noun.empty()) text += fmt::format(" '{} --version' shows the version.", name);
  return text + "\n" + exit_code_sentence() + "\n";
}

const std::vector<Reference>& exit_codes() {
  static const std::vector<Reference> kCodes{
      {"0", "success"},
      {"1", "failure"},
      {"2", "wrong usage"},
      {"3", "not found"},
      {"4", "busy or already there"},
      {"5", "unauthorized"},
      {"6", "unavailable"},
      {"7", "disk full"},
      {"8", "damaged data"},
      {"130", "interrupted"},
  };
  return kCodes;
}

}  // namespace base
