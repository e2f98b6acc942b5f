#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "appliance/cli/program.h"
#include "base/program_description.h"
#include "base/program_help.h"

namespace appliance::cli {

TEST_CASE("every command of muletto explains itself") {
  base::Program program = operator_program();
  std::set<std::string> names, nouns;
  for (const base::Reference& noun : program.nouns) nouns.insert(noun.name);
  for (const base::Command& command : program.commands) {
    INFO(command.name);
    CHECK(names.insert(command.name).second);
    CHECK((command.name.find(' ') == std::string::npos || nouns.contains(base::noun_of(command))));
    CHECK(std::isupper(static_cast<unsigned char>(command.summary.front())));
    CHECK_FALSE(command.summary.ends_with('.'));
    for (const base::OptionDescription& option : base::describe(program, command).options) {
      INFO(option.name);
      CHECK_FALSE(option.help.empty());
      CHECK(option.value != "arg");
    }
  }
}

TEST_CASE("help fits a terminal") {
  base::Program program = operator_program();
  for (const base::Command& command : program.commands) {
    std::string help = base::command_help(program, command);
    for (size_t begin = 0, end; (end = help.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      std::string line = help.substr(begin, end - begin);
      auto is_continuation = [](unsigned char byte) { return (byte & 0xc0) == 0x80; };
      size_t width = line.size() - std::count_if(line.begin(), line.end(), is_continuation);
      INFO(command.name << ": " << line);
      CHECK(width <= base::kHelpWidth);
    }
  }
}

}  // namespace appliance::cli
