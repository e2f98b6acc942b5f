#include "restore/file_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file_system.h"
#include "base/text.h"

namespace restore {
namespace {

constexpr size_t kMaxName = 200;  // bytes; a file system's limit is 255, with ending and number

std::string fitting(std::string name) {
  auto is_unfit = [](unsigned char c) { return c == '/' || c < 0x20 || c == 0x7f; };
  std::replace_if(name.begin(), name.end(), is_unfit, '_');
  if (!base::is_valid_utf8(name)) {
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return c >= 0x80; }, '_');
  }
  if (name.size() > kMaxName) {
    size_t end = kMaxName;
    while ((static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // a whole character
    name.resize(end);
  }
  return name.empty() || name.front() == '.' || name.front() == '-' ? "_" + name : name;
}

}  // namespace

std::string FileNames::path_of(const std::string& name, const std::string& ending) {
  std::string fit = fitting(name) + ending;
  for (uint32_t number = 2; !taken_.insert(fit).second; ++number)
    fit = fmt::format("{}-{}{}", fitting(name), number, ending);
  return base::join_path(directory_, fit);
}

}  // namespace restore
