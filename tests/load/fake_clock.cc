// Preloaded into a program, puts its wall clock off by as many seconds as the file says that
// MULETTO_FAKE_CLOCK names: 8 bytes, signed, of this machine's order, that may change at any
// moment. Other clocks stay. Without the file, as in a sandbox, nothing is put off. libfaketime
// does more, with a lock that a killed child keeps for ever.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const int64_t kNothing_s = 0;

const volatile int64_t* find_offset() {
  const char* path = std::getenv("MULETTO_FAKE_CLOCK");
  int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return &kNothing_s;
  void* mapped = ::mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return mapped == MAP_FAILED ? &kNothing_s : static_cast<const volatile int64_t*>(mapped);
}

int64_t offset_s() {
  static const volatile int64_t* const offset = find_offset();
  return *offset;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  int code = static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += offset_s();
  return code;
}

int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
}
