#include "base/program.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/file_system.h"
#include "base/nearest_word.h"
#include "base/process.h"
#include "base/program_completion.h"
#include "base/program_description.h"
#include "base/program_help.h"
#include "base/program_manual.h"
#include "base/text.h"

namespace base {
namespace {

using Words = std::vector<std::string>;

// ---- parsing

// Options that had another name before are still read.
void rename_old_options(const Program& program, Words& words) {
  for (std::string& word : words) {
    if (word == "--") return;
    if (!word.starts_with("--")) continue;
    size_t equals = word.find('=');
    auto renamed = program.old_options.find(word.substr(2, equals - 2));
    if (renamed == program.old_options.end()) continue;
    std::string value = equals == std::string::npos ? "" : word.substr(equals);
    word = "--" + renamed->second + value;
  }
}

[[noreturn]] void refuse(std::string message) {
  throw Error(ErrorCode::invalid_argument, std::move(message));
}

[[noreturn]] void refuse_option(const CommandDescription& command, const std::string& given) {
  Words names;
  for (const OptionDescription& option : command.options) names.push_back(option.name);
  std::string name = given.substr(std::min(given.find_first_not_of('-'), given.size()));
  refuse(fmt::format("there is no option '{}'{}", given, did_you_mean("--", name, names)));
}

// The library's words for a command line that cannot be parsed are not those of a person.
[[noreturn]] void refuse_syntax(const CommandDescription& command,
                                const options::invalid_command_line_syntax& error) {
  std::string given = error.get_option_name();
  for (const OptionDescription& option : command.options) {
    bool is_meant = given == "--" + option.name || given == "-" + option.letter;
    if (is_meant && option.takes_value())
      refuse(fmt::format("{} needs a value: {} {}", given, given, option.value));
    if (is_meant) refuse(given + " takes no value");
  }
  refuse(error.what());
}

options::variables_map parse_words(const Program& program, const Command& command,
                                   const Words& words) {
  options::options_description all = declared_options(command);
  options::positional_options_description places = declare_positional(command, all);
  namespace style = options::command_line_style;
  options::variables_map values;
  auto parser = options::command_line_parser(words).options(all).positional(places);
  parser.style(style::default_style & ~style::allow_guessing);
  try {
    options::store(parser.run(), values);
  } catch (const options::unknown_option& error) {
    refuse_option(describe(program, command), error.get_option_name());
  } catch (const options::invalid_command_line_syntax& error) {
    refuse_syntax(describe(program, command), error);
  } catch (const options::too_many_positional_options_error&) {
    if (places.max_total_count() == 0) refuse("it takes options only, no other words");
    refuse(fmt::format("it takes no more words than {}", fmt::join(command.positional, " ")));
  }
  return values;
}

Arguments parse(const Program& program, const Command& command, Words words) {
  rename_old_options(program, words);
  options::variables_map values = parse_words(program, command, words);
  if (values.count("help") == 0) {
    CommandDescription description = describe(program, command);
    for (const WordDescription& word : description.words) {
      if (!word.optional && values.count(word.name) == 0) refuse(word.name + " is missing");
    }
    for (const OptionDescription& option : description.options) {
      if (option.required && values.count(option.name) == 0)
        refuse(fmt::format("--{} is missing: --{} {}", option.name, option.name, option.value));
    }
  }
  std::string output = values["output"].as<std::string>();
  if (output != "text" && output != "json")
    refuse("--output is text or json, not '" + output + "'");
  return Arguments(std::move(values), output == "json" ? OutputFormat::json : OutputFormat::text);
}

// ---- commands that every program has

void stop_at_once(int) { ::_exit(1); }

// Ends this process when its time is over, unless it was destroyed before. Not thread-safe: a process has one.
class Deadline {
 public:
  explicit Deadline(suseconds_t microseconds) {
    struct sigaction action = {};
    action.sa_handler = stop_at_once;
    ::sigaction(SIGALRM, &action, &former_);
    set(microseconds);
  }
  ~Deadline() {
    set(0);
    ::sigaction(SIGALRM, &former_, nullptr);
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  static void set(suseconds_t microseconds) {
    itimerval limit{{0, 0}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &limit, nullptr);
  }
  struct sigaction former_ = {};
};

// A shell waits for the answer while somebody types: it comes soon or not at all. Never throws.
int answer_completion(const Program& program, const Words& words) {
  Deadline deadline(900'000);
  try {
    std::string text = completion_text(complete(program, words));
    std::cout << text << std::flush;
  } catch (const std::exception&) {
    return 1;  // no names, then
  }
  return 0;
}

Command completion_command(const Program& program) {
  Command command;
  command.name = "completion";
  command.summary = "Print the completion script for a shell";
  command.positional = {"SHELL"};
  command.values = {{"SHELL", "bash|zsh|fish"}};
  command.run = [name = program.name](const Arguments& arguments) {
    std::cout << completion_script(name, arguments.get("SHELL"));
    return 0;
  };
  command.notes = fmt::format(
      "Packages install these scripts. To load one into the current shell: source "
      "<({0} completion bash), or in fish: {0} completion fish | source.",
      program.name);
  return command;
}

// The date of a build that is to be the same each time is given by its environment.
std::string build_date() {
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  uint64_t time_ms = given != nullptr ? std::strtoull(given, nullptr, 10) * 1000 : now_ms();
  return format_time_ms(time_ms).substr(0, std::string("2026-11-28").size());
}

void write_document(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  write_file_durably(real_file_system(), path.string(), as_bytes(text));
}

// Where distributions look for them, below share/.
Command documents_command(const Program& program) {
  Command command;
  command.name = "__documents";
  command.summary = "Write manual pages and completion scripts";
  command.positional = {"DIR"};
  command.run = [&program](const Arguments& arguments) {
    std::filesystem::path share = arguments.get("DIR");
    for (const ManualPage& page : manual_pages(program, build_date()))
      write_document(share / "man" / page.file, page.text);
    const std::string& name = program.name;
    write_document(share / "bash-completion/completions" / name, completion_script(name, "bash"));
    write_document(share / "zsh/vendor-completions" / ("_" + name), completion_script(name, "zsh"));
    write_document(share / "fish/vendor_completions.d" / (name + ".fish"),
                   completion_script(name, "fish"));
    return 0;
  };
  return command;
}

// ---- running

// `words` are those of the command, or its noun, whose help may help.
int usage_failure(const Program& program, const std::string& words, const std::string& message) {
  std::string name = words.empty() ? program.name : program.name + " " + words;
  std::cerr << program.name << ": " << message << " (see '" << name << " --help')\n";
  return exit_code(ErrorCode::invalid_argument);
}

int run_command(const Program& program, const Command& command, const Words& words) {
  std::optional<Arguments> arguments;
  try {
    arguments = parse(program, command, words);
  } catch (const Error& error) {
    return usage_failure(program, command.name, error.message());
  } catch (const options::error& error) {
    return usage_failure(program, command.name, error.what());
  }
  if (arguments->has("help")) {
    std::cout << command_help(program, command);
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

// The words that can stand first, or after `noun`.
Words next_words(const Program& program, const std::string& noun) {
  Words next;
  for (const Command& command : program.commands) {
    if (noun.empty()) next.push_back(noun_of(command));
    else if (command.name.starts_with(noun + " "))
      next.push_back(command.name.substr(noun.size() + 1));
  }
  return next;
}

bool is_help(const std::string& word) { return word == "--help" || word == "-h"; }

// No command begins with these words.
int answer_without_command(const Program& program, const Words& words) {
  if (words.empty() || is_help(words.front())) {
    std::cout << overview(program, "");
    return words.empty() ? exit_code(ErrorCode::invalid_argument) : 0;
  }
  const std::string& first = words.front();
  Words verbs = next_words(program, first);
  if (verbs.empty()) {
    return usage_failure(program, "",
                         fmt::format("there is no command '{}'{}", first,
                                     did_you_mean("", first, next_words(program, ""))));
  }
  if (words.size() == 1 || is_help(words[1])) {
    std::cout << overview(program, first);
    return words.size() == 1 ? exit_code(ErrorCode::invalid_argument) : 0;
  }
  return usage_failure(program, first,
                       fmt::format("'{}' has no command '{}'{}", first, words[1],
                                   did_you_mean(first + " ", words[1], verbs)));
}

}  // namespace

void Arguments::missing(const char* name) {
  throw Error(ErrorCode::invalid_argument, std::string("--") + name + " is missing");
}

int run_program(const Program& given, int argc, char** argv) {
  settle_process();
  Program program = given;
  program.commands.push_back(completion_command(given));
  Words words(argv + 1, argv + argc);
  std::string first = words.empty() ? "" : words.front();
  if (first == "--version") {
    fmt::print("{} {}\n", program.name, MULETTO_VERSION);
    return 0;
  }
  if (first == "__complete") return answer_completion(program, {words.begin() + 1, words.end()});
  if (first == "__documents")
    return run_command(program, documents_command(program), {words.begin() + 1, words.end()});
  if (first == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  auto [command, taken] = find_command(program, words);
  if (command == nullptr) return answer_without_command(program, words);
  words.erase(words.begin(), words.begin() + static_cast<ptrdiff_t>(taken));
  return run_command(program, *command, words);
}

}  // namespace base
