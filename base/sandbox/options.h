// What muletto-sandbox is told on its command line, and how it fails. Only base::confined() writes
// such command lines. One thread a process.
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

// Ends the process with kNotConfined if the words are not as confined() writes them.
Options parse_options(int count, char** words);

// A sentence with errno's words on standard error, then the end with kNotConfined.
[[noreturn]] void give_up(const std::string& what);
// Gives up if `result` is negative.
void expect(long result, const char* what);

}  // namespace base::sandbox
