#include "base/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace base {
namespace {

constexpr int kNice = 15;
// As ioprio_set(2) encodes it: who, and class 3 (idle), which is served when nobody else waits.
constexpr int kOneThread = 1, kIdleDisk = 3 << 13;

}  // namespace

void lower_thread_priority() {
  auto thread = static_cast<id_t>(::gettid());
  ::setpriority(PRIO_PROCESS, thread, kNice);
  ::syscall(SYS_ioprio_set, kOneThread, 0, kIdleDisk);
}

}  // namespace base
