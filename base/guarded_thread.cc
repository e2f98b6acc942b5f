#include "base/guarded_thread.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/internal_errors.h"

namespace base {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1000};
constexpr std::chrono::milliseconds kLongestPause{60'000};
// A body that ran this long before it threw was healthy: the pauses start from the first again.
constexpr std::chrono::minutes kHealthyAfter{5};
constexpr size_t kMaxSystemName = 15;  // pthread_setname_np(3), without the final zero

void run_body(const std::string& name, AfterFailure after, const GuardedThread::Body& body,
              const std::stop_token& stop) noexcept {
  std::chrono::milliseconds pause = kFirstPause;
  while (true) {
    auto begun = std::chrono::steady_clock::now();
    if (run_guarded(name, [&] { body(stop); })) return;
    if (after == AfterFailure::end || stop.stop_requested()) return;
    if (std::chrono::steady_clock::now() - begun > kHealthyAfter) pause = kFirstPause;
    if (!run_guarded(name, [&] { sleep_unless_stopped(stop, pause); })) return;  // out of memory
    if (stop.stop_requested()) return;
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace

GuardedThread::GuardedThread(std::string name, AfterFailure after, Body body)
    : thread_([name = std::move(name), after, body = std::move(body)](const std::stop_token& stop) {
        pthread_setname_np(pthread_self(), name.substr(0, kMaxSystemName).c_str());
        run_body(name, after, body, stop);
      }) {}

bool run_guarded(const std::string& place, const std::function<void()>& action) noexcept {
  try {
    action();
    return true;
  } catch (...) {
    report_internal_error(place, describe_exception(std::current_exception()));
    return false;
  }
}

bool sleep_unless_stopped(const std::stop_token& stop, std::chrono::milliseconds duration) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace base
