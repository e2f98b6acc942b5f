#include "base/confinement.h"

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace base {

std::string program_beside(const std::string& name, const char* variable) {
  const char* given = variable == nullptr ? nullptr : std::getenv(variable);
  if (given != nullptr && *given != '\0') return given;
  std::error_code ignored;
  std::filesystem::path here =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const std::filesystem::path& place : {here / name, here / "../lib/muletto" / name}) {
    if (std::filesystem::exists(place, ignored)) return place.lexically_normal();
  }
  throw Error(ErrorCode::not_found,
              name + " is not beside the program, in " + here.string() +
                  (variable == nullptr ? "" : std::string(": set ") + variable + " to its path"));
}

std::vector<std::string> confined(const std::vector<std::string>& command,
                                  const Confinement& confinement) {
  std::vector<std::string> words{program_beside("muletto-sandbox", "MULETTO_SANDBOX")};
  auto add = [&](const char* name, const std::string& value) {
    words.push_back(std::string("--") + name + "=" + value);
  };
  if (confinement.namespaces_of) add("namespaces-of", std::to_string(*confinement.namespaces_of));
  if (confinement.keeps_network) add("keep-network", "yes");
  add("memory", std::to_string(confinement.memory_size));
  if (confinement.file_size != 0) add("file-size", std::to_string(confinement.file_size));
  add("processor-time", std::to_string(confinement.processor_time.count()));
  add("nice", std::to_string(confinement.nice));
  if (!confinement.input_path.empty()) add("input", confinement.input_path);
  if (!confinement.place.empty()) add("place", confinement.place);
  if (!confinement.writable_path.empty()) add("writable", confinement.writable_path);
  words.emplace_back("--");
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace base
