#include "base/program_description.h"

#include <algorithm>

#include "base/text.h"

namespace base {
namespace {

bool is_shared(const Program& program, const std::string& name) {
  const std::vector<std::string>& names = program.shared.names;
  return std::find(names.begin(), names.end(), name) != names.end();
}

OptionGroup group_of(const Program& program, const std::string& name) {
  if (name == "output" || name == "help") return OptionGroup::general;
  return is_shared(program, name) ? OptionGroup::shared : OptionGroup::own;
}

OptionDescription describe_option(const Program& program,
                                  const options::option_description& option) {
  using List = options::typed_value<std::vector<std::string>>;
  OptionDescription description;
  description.name = option.long_name();
  std::string display =
      option.canonical_display_name(options::command_line_style::allow_dash_for_short);
  if (display.size() == 2 && display.front() == '-') description.letter = display.substr(1);
  description.help = option.description();
  description.group = group_of(program, description.name);
  const options::value_semantic& semantic = *option.semantic();
  if (semantic.max_tokens() > 0) {
    // The library shows a default as "NAME (=VALUE)".
    std::string value = semantic.name();
    size_t at = value.find(" (=");
    description.value = value.substr(0, at);
    if (at != std::string::npos) {
      at += 3;
      description.default_value = value.substr(at, value.size() - at - 1);
    }
  }
  description.required = semantic.is_required();
  description.repeatable = dynamic_cast<const List*>(&semantic) != nullptr;
  return description;
}

}  // namespace

std::string bare_name(std::string positional) {
  while (!positional.empty() && (positional.back() == '?' || positional.back() == '*'))
    positional.pop_back();
  return positional;
}

std::string noun_of(const Command& command) {
  return command.name.substr(0, command.name.find(' '));
}

options::options_description declared_options(const Command& command) {
  options::options_description declared;
  if (command.declare_options) command.declare_options(declared.add_options());
  declared.add_options()(
      "output,o", options::value<std::string>()->default_value("text")->value_name("text|json"),
      "how the result is printed")("help,h", "show this help");
  return declared;
}

options::positional_options_description declare_positional(const Command& command,
                                                           options::options_description& declared) {
  options::positional_options_description places;
  for (const std::string& word : command.positional) {
    std::string name = bare_name(word);
    if (word.ends_with('*')) {
      declared.add_options()(name.c_str(), options::value<std::vector<std::string>>());
      places.add(name.c_str(), -1);
    } else {
      declared.add_options()(name.c_str(), options::value<std::string>());
      places.add(name.c_str(), 1);
    }
  }
  return places;
}

CommandDescription describe(const Program& program, const Command& command) {
  CommandDescription description{command.name, command.summary, command.notes, {}, {}};
  for (const std::string& word : command.positional) {
    std::string name = bare_name(word);
    auto values = command.values.find(name);
    description.words.push_back({name, values == command.values.end() ? name : values->second,
                                 word.ends_with('?') || word.ends_with('*'), word.ends_with('*')});
  }
  options::options_description declared = declared_options(command);
  for (const auto& option : declared.options())
    description.options.push_back(describe_option(program, *option));
  std::stable_sort(
      description.options.begin(), description.options.end(),
      [](const OptionDescription& a, const OptionDescription& b) { return a.group < b.group; });
  return description;
}

std::vector<const Command*> commands_by_noun(const Program& program) {
  std::vector<std::string> nouns;
  std::vector<const Command*> sorted;
  for (const Command& command : program.commands) {
    if (std::find(nouns.begin(), nouns.end(), noun_of(command)) == nouns.end())
      nouns.push_back(noun_of(command));
    sorted.push_back(&command);
  }
  auto place = [&](const Command* command) {
    return std::find(nouns.begin(), nouns.end(), noun_of(*command));
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Command* a, const Command* b) { return place(a) < place(b); });
  return sorted;
}

std::pair<const Command*, size_t> find_command(const Program& program,
                                               const std::vector<std::string>& words) {
  const Command* best = nullptr;
  size_t taken = 0;
  for (const Command& command : program.commands) {
    if (command.name.empty()) {
      if (best == nullptr) best = &command;
      continue;
    }
    std::vector<std::string> parts = split(command.name, ' ');
    if (parts.size() <= words.size() && parts.size() > taken &&
        std::equal(parts.begin(), parts.end(), words.begin())) {
      best = &command;
      taken = parts.size();
    }
  }
  return {best, taken};
}

}  // namespace base
