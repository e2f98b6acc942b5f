// What can come next on a program's command line. The shells' scripts are thin: they hand over the
// words up to the cursor, and this answers, from the same description that parses them.
#pragma once

#include <string>
#include <vector>

#include "base/program.h"

namespace base {

struct Completion {
  enum class Kind { words, files, directories };

  Kind kind = Kind::words;
  // Of files and folders: what of the current word comes before the path: "--to=", "vda=".
  std::string prefix;
  // Of words: whole words, each beginning with what is typed already.
  std::vector<Candidate> candidates;
};

// `words` are those after the program's name, the last one being the one at the cursor, as far as it
// is typed (perhaps empty); quotes are resolved. Asks `program.names`, and throws what that throws.
Completion complete(const Program& program, const std::vector<std::string>& words);

// The answer as the scripts read it: a line "words ", "files PREFIX" or "directories PREFIX", then
// "TEXT\tDESCRIPTION" for each candidate. Control characters in them are left out.
std::string completion_text(const Completion& completion);

// The script for `shell`: bash, zsh or fish. Throws invalid_argument for another one.
std::string completion_script(const std::string& program_name, const std::string& shell);

}  // namespace base
