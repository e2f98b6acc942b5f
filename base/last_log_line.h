// Why a program ended, taken from its output: our programs report an error as one line, the last
// one. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace base {

// The last line in the file that is not empty, without "PROGRAM: " before it and without control
// characters, at most 400 bytes. Empty if there is none.
std::string last_log_line(const std::string& path, std::string_view program);

}  // namespace base
