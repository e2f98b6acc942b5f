#include "base/last_log_line.h"

#include <algorithm>
#include <fstream>

namespace base {

std::string last_log_line(const std::string& path, std::string_view program) {
  constexpr size_t kMaxSentence = 400;  // bytes
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  std::string name = std::string(program) + ": ";
  if (last.starts_with(name)) last = last.substr(name.size());
  std::replace_if(
      last.begin(), last.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return last.substr(0, kMaxSentence);
}

}  // namespace base
