#include "base/program_completion.h"

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/program_description.h"
#include "base/text.h"

namespace base {
namespace {

using Words = std::vector<std::string>;

// Keeps what begins with the current word.
class Candidates {
 public:
  explicit Candidates(std::string current) : current_(std::move(current)) {}

  void offer(const std::string& text, const std::string& description) {
    if (text.starts_with(current_)) completion_.candidates.push_back({text, description});
  }
  void offer_paths(Completion::Kind kind, const std::string& prefix) {
    completion_.kind = kind;
    completion_.prefix = prefix;
  }
  const std::string& current() const { return current_; }
  Completion take() { return std::move(completion_); }

 private:
  std::string current_;
  Completion completion_;
};

// ---- the words of commands

std::string meaning_of_noun(const Program& program, const std::string& noun) {
  for (const Reference& reference : program.nouns) {
    if (reference.name == noun) return reference.meaning;
  }
  return "";
}

void offer_commands(const Program& program, const Words& typed, Candidates& answer) {
  std::set<std::string> offered;
  for (const Command* command : commands_by_noun(program)) {
    Words parts = split(command->name, ' ');
    if (parts.size() <= typed.size() || !std::equal(typed.begin(), typed.end(), parts.begin()))
      continue;
    const std::string& part = parts[typed.size()];
    bool is_last = parts.size() == typed.size() + 1;
    if (!offered.insert(part).second) continue;
    answer.offer(part, is_last ? command->summary : meaning_of_noun(program, part));
  }
  if (!typed.empty() || !answer.current().starts_with('-')) return;
  answer.offer("--help", "list the commands");
  answer.offer("--version", "show the version");
}

// ---- the words of one command

// The words between a command's name and the cursor, taken apart.
struct TypedWords {
  std::set<std::string> options;          // names of those that are given
  std::optional<OptionDescription> open;  // the last one, if its value comes next
  size_t positional = 0;
  bool options_ended = false;  // after "--"
};

const OptionDescription* find_option(const CommandDescription& command, std::string_view word) {
  for (const OptionDescription& option : command.options) {
    if (word == "--" + option.name || (!option.letter.empty() && word == "-" + option.letter))
      return &option;
  }
  return nullptr;
}

TypedWords take_apart(const CommandDescription& command, const Words& words) {
  TypedWords typed;
  for (const std::string& word : words) {
    if (typed.open) {
      typed.open.reset();
    } else if (word == "--" && !typed.options_ended) {
      typed.options_ended = true;
    } else if (!typed.options_ended && word.size() > 1 && word.starts_with('-')) {
      size_t equals = word.find('=');
      const OptionDescription* option = find_option(command, word.substr(0, equals));
      if (option == nullptr) continue;
      typed.options.insert(option->name);
      if (option->takes_value() && equals == std::string::npos) typed.open = *option;
    } else {
      ++typed.positional;
    }
  }
  return typed;
}

// As far as the words can be parsed: what a program needs to ask for names.
Arguments parse_leniently(const Command& command, const Words& words) {
  options::options_description declared = declared_options(command);
  options::positional_options_description places = declare_positional(command, declared);
  options::variables_map values;
  try {
    namespace style = options::command_line_style;
    auto parser = options::command_line_parser(words).options(declared).positional(places);
    parser.allow_unregistered();
    parser.style(style::default_style & ~style::allow_guessing);
    options::store(parser.run(), values);
  } catch (const options::error&) {
    values.clear();
  }
  return Arguments(std::move(values), OutputFormat::text);
}

// A word of a closed set, or its part before what it stands for: "bridge:" of "bridge:BRIDGE".
std::string literal_part(const std::string& choice) {
  auto is_capital = [](char letter) { return letter >= 'A' && letter <= 'Z'; };
  return std::string(choice.begin(), std::find_if(choice.begin(), choice.end(), is_capital));
}

// `before` is what of the current word comes before the value: "--firmware=".
void offer_values(const Program& program, const Command& command, const Words& words,
                  const std::string& value, const std::string& before, Candidates& answer) {
  std::string typed = answer.current().substr(before.size());
  if (value.find('|') != std::string::npos) {
    for (const std::string& choice : split(value, '|')) {
      std::string text = literal_part(choice);
      if (!text.empty()) answer.offer(before + text, "");
    }
  } else if (value == "FILE" || value == "PATH") {
    answer.offer_paths(Completion::Kind::files, before);
  } else if (value == "DIR") {
    answer.offer_paths(Completion::Kind::directories, before);
  } else if (value.ends_with("=FILE")) {
    size_t equals = typed.find('=');
    if (equals != std::string::npos)
      answer.offer_paths(Completion::Kind::files, before + typed.substr(0, equals + 1));
  } else if (value.ends_with(",…")) {
    std::string kind = value.substr(0, value.size() - std::string(",…").size());
    size_t comma = typed.rfind(',');
    offer_values(program, command, words, kind,
                 comma == std::string::npos ? before : before + typed.substr(0, comma + 1), answer);
  } else if (program.names) {
    Arguments arguments = parse_leniently(command, words);
    for (const Candidate& name : program.names({command.name, value, typed, arguments}))
      answer.offer(before + name.text, name.description);
  }
}

void offer_options(const CommandDescription& command, const TypedWords& typed, Candidates& answer) {
  for (const OptionDescription& option : command.options) {
    if (typed.options.contains(option.name) && !option.repeatable) continue;
    answer.offer("--" + option.name, option.help);
  }
}

void offer_words(const Program& program, const Command& command, const Words& words,
                 Candidates& answer) {
  CommandDescription description = describe(program, command);
  TypedWords typed = take_apart(description, words);
  const std::string& current = answer.current();
  if (typed.open) return offer_values(program, command, words, typed.open->value, "", answer);
  if (!typed.options_ended && current.starts_with('-')) {
    size_t equals = current.find('=');
    if (equals == std::string::npos) return offer_options(description, typed, answer);
    const OptionDescription* option = find_option(description, current.substr(0, equals));
    if (option != nullptr && option->takes_value())
      offer_values(program, command, words, option->value, current.substr(0, equals + 1), answer);
    return;
  }
  const std::vector<WordDescription>& places = description.words;
  if (typed.positional < places.size()) {
    offer_values(program, command, words, places[typed.positional].value, "", answer);
  } else if (!places.empty() && places.back().repeated) {
    offer_values(program, command, words, places.back().value, "", answer);
  } else if (!typed.options_ended) {
    offer_options(description, typed, answer);
  }
}

std::string without_control_characters(const std::string& text) {
  std::string clean;
  for (char letter : text) {
    if (static_cast<unsigned char>(letter) >= ' ' && letter != '\x7f') clean += letter;
  }
  return clean;
}

}  // namespace

Completion complete(const Program& program, const Words& words) {
  Candidates answer(words.empty() ? "" : words.back());
  Words typed(words.begin(), words.empty() ? words.end() : words.end() - 1);
  if (!typed.empty() && typed.front() == "help") typed.erase(typed.begin());
  auto [command, taken] = find_command(program, typed);
  if (command == nullptr) {
    offer_commands(program, typed, answer);
  } else {
    typed.erase(typed.begin(), typed.begin() + static_cast<ptrdiff_t>(taken));
    offer_words(program, *command, typed, answer);
  }
  return answer.take();
}

std::string completion_text(const Completion& completion) {
  std::string text = completion.kind == Completion::Kind::files         ? "files "
                     : completion.kind == Completion::Kind::directories ? "directories "
                                                                        : "words ";
  text += without_control_characters(completion.prefix) + "\n";
  for (const Candidate& candidate : completion.candidates) {
    text += without_control_characters(candidate.text) + "\t" +
            without_control_characters(candidate.description) + "\n";
  }
  return text;
}

}  // namespace base
