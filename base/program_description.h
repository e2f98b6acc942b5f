// What a command's words are, as values: read from its declaration for help, usage lines, completion
// and manual pages. Pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/program.h"

namespace base {

enum class OptionGroup { own, shared, general };

struct OptionDescription {
  std::string name;           // "network"
  std::string letter;         // "o" of -o; may be empty
  std::string value;          // "MODE"; empty: it takes none
  std::string default_value;  // may be empty
  std::string help;
  bool required = false;
  bool repeatable = false;
  OptionGroup group = OptionGroup::own;

  bool takes_value() const { return !value.empty(); }
};

struct WordDescription {
  std::string name;   // "POINT"
  std::string value;  // its value name: the name, or what Command::values says
  bool optional = false;
  bool repeated = false;
};

struct CommandDescription {
  std::string name;  // "store import"
  std::string summary;
  std::string notes;
  std::vector<WordDescription> words;
  std::vector<OptionDescription> options;  // its own, shared ones, then --output and --help
};

CommandDescription describe(const Program& program, const Command& command);

// The declared options together with --output and --help, which every command has.
options::options_description declared_options(const Command& command);

// Its positional words: as options of their names, added to `declared`, and in their order.
options::positional_options_description declare_positional(const Command& command,
                                                           options::options_description& declared);

// "POINT" of "POINT*".
std::string bare_name(std::string positional);

// The first word of a command's name.
std::string noun_of(const Command& command);

// Commands of one noun together, nouns and commands in the order in which they are given.
std::vector<const Command*> commands_by_noun(const Program& program);

// The command whose name is the longest match of the leading words, and how many words that takes;
// null if there is none.
std::pair<const Command*, size_t> find_command(const Program& program,
                                               const std::vector<std::string>& words);

}  // namespace base
