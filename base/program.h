// What every command-line program shares. A program is described once, by the structures below. From
// that description come: parsing, --help, usage lines, completion for bash, zsh and fish, manual
// pages, exit codes, and the one place where an Error becomes a sentence on standard error.
//
// Value names say what a value is: in a help text, and to completion.
//   FILE, PATH      a file; DIR a folder; X=FILE a file after the '='
//   a|b|c           one of these words; a part in capitals stands for something: bridge:BRIDGE
//   MACHINE, …      a name that Program::names lists; MACHINE,… several of them
//   anything else   free text
// The names of positional words are value names, too.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base {

namespace options = boost::program_options;

enum class OutputFormat { text, json };

// The parsed words of one command.
class Arguments {
 public:
  Arguments(options::variables_map values, OutputFormat output)
      : values_(std::move(values)), output_(output) {}

  bool has(const char* name) const { return values_.count(name) != 0; }
  // The value of an option that was given or has a default; throws invalid_argument if it has none.
  template <typename T = std::string>
  T get(const char* name) const {
    if (!has(name)) missing(name);
    return values_[name].as<T>();
  }
  template <typename T = std::string>
  T get_or(const char* name, T fallback) const {
    return has(name) ? values_[name].as<T>() : fallback;
  }
  std::vector<std::string> list(const char* name) const {
    return has(name) ? values_[name].as<std::vector<std::string>>() : std::vector<std::string>{};
  }
  OutputFormat output() const { return output_; }
  bool json() const { return output_ == OutputFormat::json; }

 private:
  [[noreturn]] static void missing(const char* name);
  options::variables_map values_;
  OutputFormat output_;
};

// One command. Positional words are named options too, listed in order in `positional`; each is
// required unless its name ends in '?', and the last takes all remaining words if its name ends in
// '*'. An option is required if it is declared with ->required(). Texts are plain; an empty line
// separates paragraphs, other line ends are spaces.
struct Command {
  std::string name;                     // "store import"; empty for a program that is one command
  std::string summary;                  // one line, without a full stop
  std::vector<std::string> positional;  // {"DIR", "POINT"}
  std::function<void(options::options_description_easy_init)> declare_options;
  std::function<int(const Arguments&)> run;   // returns the exit code
  std::string notes;                          // shown after the options in --help; may be empty
  std::map<std::string, std::string> values;  // of positional words: {"ACTION", "reset|pause"}
};

// A thing and what it is for: a noun of commands, a file, an environment variable.
struct Reference {
  std::string name;
  std::string meaning;
};

// Options that many commands have, under a title of their own: "Connection options".
struct SharedOptions {
  std::string title;
  std::vector<std::string> names;
};

// A word that completion offers. The text is what is typed; the description may be empty.
struct Candidate {
  std::string text;
  std::string description;
};

// What completion asks a program for: names of a kind (a value name, "MACHINE") that may begin with
// `begun`. `arguments` are the words before it, as far as they could be parsed.
struct NameRequest {
  std::string command;  // "boot start"
  std::string kind;
  std::string begun;
  const Arguments& arguments;
};

struct Program {
  std::string name;     // "muletto"
  std::string summary;  // one line: a verb in the infinitive
  std::vector<Command> commands;
  std::vector<Reference> nouns;  // of commands with two words, {"boot", "instant VMs"}
  std::string description;       // for the manual page
  int manual_section = 1;
  std::vector<Reference> environment;
  std::vector<Reference> files;
  std::vector<std::string> see_also;  // {"mulettod(8)"}
  SharedOptions shared;
  std::map<std::string, std::string> old_options;  // old name: name; still read, never shown
  // May be empty, throw, or take long: completion then offers no names.
  std::function<std::vector<Candidate>(const NameRequest&)> names;
};

// Parses, runs, reports. Never throws. `muletto --help`, `muletto store --help`, `muletto store
// import --help`, `muletto help store import`, `muletto --version` and a wrong word are answered
// here; and the commands that every program has:
//   completion SHELL     prints the script that completes its words in bash, zsh or fish
//   __complete WORD...   what that script asks (base/program_completion.h); silent, at most a second
//   __documents DIR      writes what is installed in share/: manual pages and those scripts
// Exit codes: 0 success, 1 I/O or other failure, 2 wrong usage or unsupported, 3 not found, 4 busy
// or already there, 5 unauthorized, 6 unavailable, 7 disk full, 8 damaged data, 130 interrupted.
int run_program(const Program& program, int argc, char** argv);

}  // namespace base
