// What every command-line program shares: commands with `noun verb` names, --help, --output
// text|json, exit codes, and the one place where an Error becomes a sentence on standard error.
//
// Exit codes: 0 success, 1 I/O or other failure, 2 wrong usage or unsupported, 3 not found, 4 busy
// or already there, 5 unauthorized, 6 unavailable, 7 disk full, 8 damaged data, 130 interrupted.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <functional>
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
// '*'.
struct Command {
  std::string name;                     // "store import"; empty for a program that is one command
  std::string summary;                  // one line
  std::vector<std::string> positional;  // {"DIR", "POINT"}
  std::function<void(options::options_description_easy_init)> declare_options;
  std::function<int(const Arguments&)> run;  // returns the exit code
  std::string notes;                         // shown below the options in --help; may be empty
};

struct Program {
  std::string name;     // "muletto"
  std::string summary;  // one line
  std::vector<Command> commands;
};

// Parses, runs, reports. Never throws. `muletto --help`, `muletto store --help`, `muletto store
// import --help`, `muletto --version` and a wrong word are answered here.
int run_program(const Program& program, int argc, char** argv);

}  // namespace base
