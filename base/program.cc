#include "base/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace base {
namespace {

std::string bare_name(std::string name) {
  while (!name.empty() && (name.back() == '?' || name.back() == '*')) name.pop_back();
  return name;
}

std::string usage_line(const Program& program, const Command& command) {
  std::string line = program.name;
  if (!command.name.empty()) line += " " + command.name;
  for (const std::string& word : command.positional) {
    std::string name = bare_name(word);
    if (word.ends_with('*')) name += "...";
    line += word.ends_with('?') || word.ends_with('*') ? " [" + name + "]" : " " + name;
  }
  return line + " [options]";
}

options::options_description visible_options(const Command& command) {
  options::options_description visible("Options");
  if (command.declare_options) command.declare_options(visible.add_options());
  visible.add_options()("output,o",
                        options::value<std::string>()->default_value("text")->value_name("FORMAT"),
                        "text or json")("help,h", "show this help");
  return visible;
}

void print_command_help(const Program& program, const Command& command) {
  std::ostringstream text;
  text << "usage: " << usage_line(program, command) << "\n\n"
       << command.summary << ".\n\n"
       << visible_options(command);
  if (!command.notes.empty()) text << "\n" << command.notes << "\n";
  std::cout << text.str();
}

std::string noun_of(const Command& command) {
  return command.name.substr(0, command.name.find(' '));
}

// Commands of one noun together, nouns and commands in the order in which they are given.
std::vector<const Command*> by_noun(const Program& program) {
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

// The commands below `prefix` ("" for all, "store" for one noun).
void print_overview(const Program& program, const std::string& prefix) {
  fmt::print("{}: {}\n\nusage: {} COMMAND [arguments] [options]\n\n", program.name, program.summary,
             program.name);
  std::string last;
  for (const Command* command : by_noun(program)) {
    if (!prefix.empty() && command->name != prefix && !command->name.starts_with(prefix + " "))
      continue;
    // A few commands need no gaps to be found.
    constexpr size_t kManyCommands = 10;
    if (!last.empty() && noun_of(*command) != last && program.commands.size() > kManyCommands)
      fmt::print("\n");
    last = noun_of(*command);
    fmt::print("  {:<24} {}\n", command->name, command->summary);
  }
  fmt::print(
      "\n'{0} COMMAND --help' explains a command; '{0} --version' tells the version.\n"
      "Exit codes: 0 success, 1 failure, 2 usage, 3 not found, 4 busy or already there, 5 "
      "unauthorized,\n"
      "6 unavailable, 7 disk full, 8 damaged data, 130 interrupted.\n",
      program.name);
}

// The command whose name is the longest match of the leading words, and how many words that takes.
const Command* find_command(const Program& program, const std::vector<std::string>& words,
                            size_t& taken) {
  const Command* best = nullptr;
  taken = 0;
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
  return best;
}

bool is_noun(const Program& program, const std::string& word) {
  for (const Command& command : program.commands) {
    if (command.name.starts_with(word + " ")) return true;
  }
  return false;
}

Arguments parse(const Command& command, const std::vector<std::string>& words) {
  options::options_description all = visible_options(command);
  options::positional_options_description places;
  for (const std::string& word : command.positional) {
    std::string name = bare_name(word);
    if (word.ends_with('*')) {
      all.add_options()(name.c_str(), options::value<std::vector<std::string>>());
      places.add(name.c_str(), -1);
    } else {
      all.add_options()(name.c_str(), options::value<std::string>());
      places.add(name.c_str(), 1);
    }
  }
  namespace style = options::command_line_style;
  options::variables_map values;
  auto parser = options::command_line_parser(words).options(all).positional(places);
  parser.style(style::default_style & ~style::allow_guessing);
  options::store(parser.run(), values);
  options::notify(values);
  if (values.count("help") == 0) {
    for (const std::string& word : command.positional) {
      if (!word.ends_with('?') && !word.ends_with('*') && values.count(word) == 0) {
        throw Error(ErrorCode::invalid_argument, word + " is missing");
      }
    }
  }
  std::string output = values["output"].as<std::string>();
  if (output != "text" && output != "json") {
    throw Error(ErrorCode::invalid_argument, "--output is text or json, not '" + output + "'");
  }
  return Arguments(std::move(values), output == "json" ? OutputFormat::json : OutputFormat::text);
}

int usage_failure(const Program& program, const Command* command, const std::string& message) {
  std::string name = program.name;
  if (command != nullptr && !command->name.empty()) name += " " + command->name;
  std::cerr << program.name << ": " << message << " (see '" << name << " --help')\n";
  return exit_code(ErrorCode::invalid_argument);
}

int run_command(const Program& program, const Command& command,
                const std::vector<std::string>& words) {
  std::optional<Arguments> arguments;
  try {
    arguments = parse(command, words);
  } catch (const Error& error) {
    return usage_failure(program, &command, error.message());
  } catch (const options::error& error) {
    return usage_failure(program, &command, error.what());
  }
  if (arguments->has("help")) {
    print_command_help(program, command);
    return 0;
  }
  try {
    int code = command.run(*arguments);
    std::cout.flush();
    if (!std::cout) throw Error(ErrorCode::io, "cannot write to standard output");
    return code;
  } catch (const Error& error) {
    std::cerr << program.name << ": " << error.message() << "\n";
    return exit_code(error.code());
  } catch (const std::exception& error) {
    std::cerr << program.name << ": unexpected failure: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace

void Arguments::missing(const char* name) {
  throw Error(ErrorCode::invalid_argument, std::string("--") + name + " is missing");
}

int run_program(const Program& program, int argc, char** argv) {
  settle_process();
  std::vector<std::string> words(argv + 1, argv + argc);
  std::string first = words.empty() ? "" : words.front();
  if (first == "--version") {
    fmt::print("{} {}\n", program.name, MULETTO_VERSION);
    return 0;
  }
  size_t taken = 0;
  const Command* command = find_command(program, words, taken);
  if (command != nullptr) {
    words.erase(words.begin(), words.begin() + static_cast<ptrdiff_t>(taken));
    return run_command(program, *command, words);
  }
  if (first == "--help" || first == "-h" || first == "help") {
    print_overview(program, "");
    return 0;
  }
  if (words.empty()) {
    print_overview(program, "");
    return exit_code(ErrorCode::invalid_argument);
  }
  if (is_noun(program, first)) {
    bool help = words.size() > 1 && (words[1] == "--help" || words[1] == "-h");
    if (help || words.size() == 1) {
      print_overview(program, first);
      return help ? 0 : exit_code(ErrorCode::invalid_argument);
    }
    return usage_failure(program, nullptr, "'" + first + "' has no command '" + words[1] + "'");
  }
  return usage_failure(program, nullptr, "there is no command '" + first + "'");
}

}  // namespace base
