#include "base/clock.h"

#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace base {
namespace {

class SystemClock : public Clock {
 public:
  uint64_t wall_ms() const override { return now_ms(); }
  uint64_t steady_ms() const override {
    timespec now{};
    CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

uint64_t steady_ms() { return system_clock().steady_ms(); }

std::string machine_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  constexpr uint64_t kMaxSize = 128;
  std::string id = trim(as_text(read_to_end(kPath, kMaxSize)));
  if (id.empty()) throw Error(ErrorCode::corrupt, std::string(kPath) + " is empty");
  return id;
}

bool has_passed(uint64_t since_ms, uint64_t interval_ms, uint64_t now_ms) {
  return since_ms > now_ms || now_ms - since_ms >= interval_ms;
}

}  // namespace base
