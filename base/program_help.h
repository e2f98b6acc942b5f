// A program's help texts, as --help prints them: at most 80 columns wide. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/program.h"
#include "base/program_description.h"

namespace base {

constexpr size_t kHelpWidth = 80;  // columns

// A paragraph for each part between empty lines, broken at spaces; later lines, and paragraphs after
// the first, begin with `indent` spaces. The first line begins at column `indent`, too, without them.
std::string wrap_text(std::string_view text, size_t indent, size_t width = kHelpWidth);

// What follows a command's name in its usage line: "POINT", "--store DIR", "[--memory SIZE]".
std::vector<std::string> usage_words(const Program& program, const CommandDescription& command);

// "usage: muletto boot start POINT [--memory SIZE] …", wrapped, with a line end.
std::string usage_line(const Program& program, const CommandDescription& command);

std::string command_help(const Program& program, const Command& command);

// The commands of one noun, or all if `noun` is empty.
std::string overview(const Program& program, const std::string& noun);

// {"2", "wrong usage"}: the meanings of exit codes.
const std::vector<Reference>& exit_codes();

}  // namespace base
