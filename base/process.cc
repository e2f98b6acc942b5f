#include "base/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace base {
namespace {

// More would slow programs that close every number there could be.
constexpr rlim_t kDescriptorLimit = 65536;
// glibc raises its own limits to what was once freed in one piece, and then keeps up to 64 MiB that
// nobody uses for each of its arenas: a daemon would never be as small again as it was.
constexpr int kLargeBlock = 1 << 20;  // bytes

}  // namespace

void settle_process() {
  for (int fd : {0, 1, 2}) {
    // The lowest free number is taken, and those below are in use by now.
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
  ::signal(SIGCHLD, SIG_DFL);
}

void settle_service() {
  ::umask(0077);
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  // A core_pattern that is a pipe does not ask for the limit. Only for root, whose files in /proc
  // stay his own.
  if (::geteuid() == 0) ::prctl(PR_SET_DUMPABLE, 0);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::max(files.rlim_cur, std::min(files.rlim_max, kDescriptorLimit));
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  ::mallopt(M_TRIM_THRESHOLD, kLargeBlock);
}

std::string take_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value == nullptr ? "" : value;
  ::unsetenv(name);
  return taken;
}

}  // namespace base
