// Passwords that a person types or a file holds. They are never arguments, which every user of the
// machine can read.
#pragma once

#include <string>

#include "base/program.h"

namespace appliance::cli {

// --password-file FILE.
void declare_password(base::options::options_description_easy_init add);

// From --password-file ("-": standard input, its first line); else asked on the terminal, twice and
// without showing it. Throws invalid_argument if there is neither, or the two differ.
std::string read_new_password(const base::Arguments& arguments);

}  // namespace appliance::cli
