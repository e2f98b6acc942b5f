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

// A higher limit would slow down programs that close every possible descriptor.
constexpr rlim_t kDescriptorLimit = 65536;
// glibc raises its own limits to the size of the largest block ever freed, and then keeps up to 64
// MiB of unused memory for each of its arenas: a daemon would never shrink again.
constexpr int kLargeBlock = 1 << 20;  // bytes

}  // namespace

void settle_process() {
  for (int fd : {0, 1, 2}) {
    // The lowest free number is taken, and the lower ones are in use by now.
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
  ::signal(SIGCHLD, SIG_DFL);
}

void settle_service() {
  ::umask(0077);
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  // A core_pattern that is a pipe ignores the limit. Only for root, whose files in /proc stay its
  // own.
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
