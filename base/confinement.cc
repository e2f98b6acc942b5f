#include "base/confinement.h"

namespace base {

std::vector<std::string> confined(const std::vector<std::string>& command,
                                  const Confinement& confinement) {
  std::vector<std::string> words;
  auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  if (confinement.namespaces_of) {
    add({"nsenter", "--target", std::to_string(*confinement.namespaces_of), "--mount", "--net"});
  }
  add({"nice", "-n", "15", "ionice", "-c", "3"});
  // A change of user clears the signal that the kernel sends at the parent's death: setpriv asks
  // for it again, after that.
  add({"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs",
       "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL"});
  add({"prlimit", "--core=0", "--as=" + std::to_string(confinement.memory_size)});
  if (confinement.file_size != 0) add({"--fsize=" + std::to_string(confinement.file_size)});
  add({"--", "env", "LC_ALL=C.UTF-8"});
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace base
