// Unexpected exceptions that reached the top of a thread, a job, a request or a callback. Each is a
// fault of the program or of the machine (no memory, a damaged disk), so it is logged and kept, for
// the alert `internal-error` to report. Like the log, there is one list per process. Thread-safe.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace base {

struct InternalError {
  std::string place;                   // what was running: "scheduler", "job retention"
  std::string message;                 // the newest one's
  uint64_t count = 0;                  // since the process started
  uint64_t first_ms = 0, last_ms = 0;  // UTC, milliseconds since 1970
};

// When full, the one that was silent longest is dropped.
constexpr size_t kMaxInternalErrorPlaces = 64;

// Never throws: without memory, only the log line is attempted. Repeated errors are logged ever
// more rarely.
void report_internal_error(std::string_view place, std::string_view message) noexcept;

// In the order in which they first happened.
std::vector<InternalError> internal_errors();

// What the exception says; works also for exceptions that are not a std::exception.
std::string describe_exception(const std::exception_ptr& failure) noexcept;

}  // namespace base
