#include "base/program_manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/program_description.h"
#include "base/program_help.h"
#include "base/text.h"

namespace base {
namespace {

constexpr size_t kSourceWidth = 66;  // columns of a line of roff, before letters are escaped

// Plain text that roff prints as it is.
std::string escape(std::string_view text) {
  std::string escaped;
  for (char letter : text) {
    switch (letter) {
      case '\\': escaped += "\\e"; break;
      case '-': escaped += "\\-"; break;
      case '\'': escaped += "\\(aq"; break;
      case '`': escaped += "\\(ga"; break;
      case '^': escaped += "\\(ha"; break;
      case '~': escaped += "\\(ti"; break;
      case '"': escaped += "\\(dq"; break;
      default: escaped += letter;
    }
  }
  // A point in front would be a request. Letters outside ASCII are UTF-8, which both readers take.
  return escaped.starts_with('.') ? "\\&" + escaped : escaped;
}

std::string bold(std::string_view text) { return "\\fB" + escape(text) + "\\fR"; }
// A long choice ("raw|qcow2|…") may go on in the next line.
std::string italic(std::string_view text) {
  std::string breakable;
  for (char letter : escape(text)) {
    breakable += letter;
    if (letter == '|') breakable += "\\:";
  }
  return "\\fI" + breakable + "\\fR";
}

// Lines of roff: at most kSourceWidth columns where spaces allow, paragraphs with .PP before them.
std::string paragraphs(std::string_view text) {
  std::string roff;
  for (const std::string& line : split(wrap_text(text, 0, kSourceWidth), '\n'))
    roff += line.empty() ? ".PP\n" : escape(line) + "\n";
  return roff;
}

// The words of a usage line: names of options bold, what stands for something italic.
std::string usage_word(const std::string& word) {
  size_t begin = word.starts_with('[') ? 1 : 0;
  size_t end = word.find_last_not_of("].");
  std::string inner = word.substr(begin, end + 1 - begin), styled;
  size_t space = inner.find(' ');
  if (!inner.starts_with('-')) styled = italic(inner);
  else if (space == std::string::npos) styled = bold(inner);
  else styled = bold(inner.substr(0, space)) + "\\ " + italic(inner.substr(space + 1));
  return word.substr(0, begin) + styled + word.substr(end + 1);
}

std::string synopsis(const Program& program, const CommandDescription& command) {
  std::string name = command.name.empty() ? program.name : program.name + " " + command.name;
  std::string roff = ".HP\n" + bold(name) + "\n";
  for (const std::string& word : usage_words(program, command)) roff += usage_word(word) + "\n";
  return roff;
}

std::string option_entry(const OptionDescription& option) {
  std::string what = option.letter.empty() ? "" : bold("-" + option.letter) + ", ";
  what += bold("--" + option.name);
  if (option.takes_value()) what += " " + italic(option.value);
  std::string meaning = option.help;
  if (option.required) meaning += "; required";
  if (option.repeatable) meaning += "; may be repeated";
  if (!option.default_value.empty()) meaning += " (default: " + option.default_value + ")";
  return ".TP\n" + what + "\n" + paragraphs(meaning + ".");
}

std::string option_entries(const CommandDescription& command, std::set<OptionGroup> groups) {
  std::string roff;
  for (const OptionDescription& option : command.options) {
    if (groups.contains(option.group)) roff += option_entry(option);
  }
  return roff;
}

std::string references(const std::string& title, const std::vector<Reference>& list) {
  if (list.empty()) return "";
  std::string roff = ".SH " + title + "\n";
  for (const Reference& each : list)
    roff += ".TP\n" + bold(each.name) + "\n" + paragraphs(each.meaning + ".");
  return roff;
}

std::string page_name(const Program& program, const std::string& noun) {
  if (noun.empty()) return program.name;
  std::string name = program.name + "-" + noun;
  // A program of that name has that page: the commands 'muletto restore' beside muletto-restore(1).
  for (const std::string& other : program.see_also) {
    if (other.starts_with(name + "(")) return name + "-commands";
  }
  return name;
}

// The commands of two words have pages by their nouns; the others are of the program's own page.
bool is_of_page(const Command& command, const std::string& noun) {
  bool has_two = command.name.find(' ') != std::string::npos;
  return noun.empty() ? !has_two : has_two && noun_of(command) == noun;
}

std::vector<std::string> nouns_with_pages(const Program& program) {
  std::vector<std::string> nouns;
  for (const Command* command : commands_by_noun(program)) {
    std::string noun = noun_of(*command);
    if (is_of_page(*command, noun) && (nouns.empty() || nouns.back() != noun))
      nouns.push_back(noun);
  }
  return nouns;
}

std::string heading(const Program& program, const std::string& name, const std::string& meaning,
                    const std::string& date) {
  std::string title = name;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char letter) { return std::toupper(letter); });
  return fmt::format(".TH {} {} {} \"muletto {}\" \"Muletto\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
                     title, program.manual_section, date, MULETTO_VERSION, escape(name),
                     escape(meaning));
}

std::string ending(const Program& program, const std::string& noun) {
  std::string roff = references("EXIT STATUS", exit_codes());
  roff += references("ENVIRONMENT", program.environment) + references("FILES", program.files);
  std::vector<std::string> others;
  auto add = [&](const std::string& name) {
    others.push_back(fmt::format("{}({})", name, program.manual_section));
  };
  if (!noun.empty()) add(program.name);
  for (const std::string& other : nouns_with_pages(program)) {
    if (other != noun) add(page_name(program, other));
  }
  others.insert(others.end(), program.see_also.begin(), program.see_also.end());
  if (others.empty()) return roff;
  roff += ".SH SEE ALSO\n";
  for (const std::string& other : others) {
    size_t bracket = other.find('(');
    roff += ".BR " + escape(other.substr(0, bracket)) + " " + other.substr(bracket) +
            (&other == &others.back() ? "\n" : " ,\n");
  }
  return roff;
}

// ---- a page of a program whose commands are described on it

std::string command_section(const Program& program, const CommandDescription& command) {
  std::string roff = ".SS " + escape(program.name + " " + command.name) + "\n";
  roff += paragraphs(command.summary + ".");
  roff += option_entries(command, {OptionGroup::own});
  if (!command.notes.empty()) roff += ".PP\n" + paragraphs(command.notes);
  return roff;
}

// The options that the page's commands share, once.
std::string common_options(const std::vector<CommandDescription>& commands) {
  std::string roff;
  std::set<std::string> seen;
  for (const CommandDescription& command : commands) {
    for (const OptionDescription& option : command.options) {
      if (option.group == OptionGroup::own || !seen.insert(option.name).second) continue;
      roff += option_entry(option);
    }
  }
  return roff;
}

std::string meaning_of(const Program& program, const std::string& noun) {
  for (const Reference& reference : program.nouns) {
    if (reference.name == noun) return reference.meaning;
  }
  return program.summary;
}

std::string sentence(std::string text) {
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

std::string list_of_pages(const Program& program) {
  std::string roff;
  for (const std::string& noun : nouns_with_pages(program)) {
    std::string verbs;
    for (const Command& command : program.commands) {
      if (!is_of_page(command, noun)) continue;
      verbs += (verbs.empty() ? "" : ", ") + command.name.substr(noun.size() + 1);
    }
    roff += ".TP\n" + bold(program.name + " " + noun) + "\n" +
            paragraphs(fmt::format("{}: {}. See {}({}).", meaning_of(program, noun), verbs,
                                   page_name(program, noun), program.manual_section));
  }
  return roff;
}

ManualPage commands_page(const Program& program, const std::string& noun, const std::string& date) {
  std::string name = page_name(program, noun);
  std::vector<CommandDescription> commands;
  for (const Command& command : program.commands) {
    if (is_of_page(command, noun)) commands.push_back(describe(program, command));
  }
  std::string text = heading(program, name, meaning_of(program, noun), date);
  text += ".SH SYNOPSIS\n";
  bool has_pages = noun.empty() && !nouns_with_pages(program).empty();
  if (has_pages)
    text +=
        ".HP\n" + bold(program.name) + "\n" + italic("COMMAND") + " [argument...] [option...]\n";
  for (const CommandDescription& command : commands) text += synopsis(program, command);
  std::string description = noun.empty() || program.nouns.empty()
                                ? program.description
                                : sentence(meaning_of(program, noun));
  text += ".SH DESCRIPTION\n" + paragraphs(description);
  text += ".SH COMMANDS\n";
  if (has_pages) text += list_of_pages(program);
  for (const CommandDescription& command : commands) text += command_section(program, command);
  text += ".SH OPTIONS\n" + common_options(commands) + ending(program, noun);
  return {fmt::format("man{0}/{1}.{0}", program.manual_section, name), text};
}

// ---- the page of a program that is one command

ManualPage single_page(const Program& program, const Command& command, const std::string& date) {
  CommandDescription description = describe(program, command);
  std::string text = heading(program, program.name, program.summary, date);
  text += ".SH SYNOPSIS\n" + synopsis(program, description);
  text += ".SH DESCRIPTION\n" + paragraphs(description.summary + ".");
  for (const std::string& more : {program.description, description.notes}) {
    if (!more.empty()) text += ".PP\n" + paragraphs(more);
  }
  text += ".SH OPTIONS\n" + option_entries(description, {OptionGroup::own, OptionGroup::shared,
                                                         OptionGroup::general});
  text += ending(program, "");
  return {fmt::format("man{0}/{1}.{0}", program.manual_section, program.name), text};
}

}  // namespace

std::vector<ManualPage> manual_pages(const Program& program, const std::string& date) {
  if (program.commands.front().name.empty())
    return {single_page(program, program.commands.front(), date)};
  std::vector<ManualPage> pages{commands_page(program, "", date)};
  for (const std::string& noun : nouns_with_pages(program))
    pages.push_back(commands_page(program, noun, date));
  return pages;
}

}  // namespace base
