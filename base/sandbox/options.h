// The command line of muletto-sandbox, and how it fails. Only base::confined() writes such command
// lines. One thread per process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace base::sandbox {

struct Options {
  pid_t namespaces_of = 0;  // 0: none
  bool keeps_network = false;
  uint64_t memory_size = 1ull << 30;
  uint64_t file_size = 0;  // 0: no limit
  uint64_t processor_time_s = 1200;
  int nice = 15;
  std::string input_path, place, writable_path;
  char** command = nullptr;  // ends with a null pointer
};

// Ends the process with kNotConfined if the arguments are not as confined() writes them.
Options parse_options(int count, char** words);

// Writes a sentence with errno's message to standard error, then ends with kNotConfined.
[[noreturn]] void give_up(const std::string& what);
// Gives up if `result` is negative.
void expect(long result, const char* what);

}  // namespace base::sandbox
