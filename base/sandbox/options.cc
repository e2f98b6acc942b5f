#include "base/sandbox/options.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/confinement.h"

namespace base::sandbox {

void give_up(const std::string& what) {
  std::fprintf(stderr, "muletto-sandbox: the command was not run: %s: %s\n", what.c_str(),
               std::strerror(errno));
  ::_exit(kNotConfined);
}

void expect(long result, const char* what) {
  if (result < 0) give_up(what);
}

Options parse_options(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    std::string_view word = words[i];
    if (word == "--") {
      options.command = words + i + 1;
      break;
    }
    size_t equal = word.find('=');
    errno = EINVAL;
    if (!word.starts_with("--") || equal == std::string_view::npos)
      give_up("unknown word " + std::string(word));
    std::string_view name = word.substr(2, equal - 2);
    std::string value(word.substr(equal + 1));
    uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "namespaces-of") options.namespaces_of = static_cast<pid_t>(number);
    else if (name == "keep-network") options.keeps_network = true;
    else if (name == "memory") options.memory_size = number;
    else if (name == "file-size") options.file_size = number;
    else if (name == "processor-time") options.processor_time_s = number;
    else if (name == "nice") options.nice = static_cast<int>(number);
    else if (name == "input") options.input_path = value;
    else if (name == "place") options.place = value;
    else if (name == "writable") options.writable_path = value;
    else give_up("unknown option " + std::string(name));
  }
  errno = EINVAL;
  if (options.command == nullptr || options.command[0] == nullptr) give_up("there is no command");
  return options;
}

}  // namespace base::sandbox
