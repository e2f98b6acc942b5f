// A thread that no exception can end the process from. Whatever its body throws is logged under the
// thread's name and reported (base/internal_errors.h). Then the body is restarted after a pause, or
// the thread ends, as its owner chooses. Every thread is one of these, or has a comment that says
// why it does not need to be. The object is not thread-safe; request_stop() is.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>

namespace base {

enum class AfterFailure {
  begin_again,  // restart after a second, then after twice as long each time, at most a minute
  end,          // the thread's work is lost; for threads of one task, whose owner notices
};

class GuardedThread {
 public:
  using Body = std::function<void(const std::stop_token&)>;

  GuardedThread() = default;
  // Starts the thread. `name` is for the log; its first 15 bytes are the thread's name in the
  // system. The body must return soon after a stop was requested; it is restarted only if it threw.
  GuardedThread(std::string name, AfterFailure after, Body body);
  GuardedThread(GuardedThread&&) noexcept = default;
  GuardedThread& operator=(GuardedThread&&) noexcept = default;
  ~GuardedThread() = default;  // requests the stop, and waits for the end

  void request_stop() { thread_.request_stop(); }
  std::stop_token stop_token() const { return thread_.get_stop_token(); }
  bool joinable() const { return thread_.joinable(); }
  void join() { thread_.join(); }

 private:
  std::jthread thread_;
};

// Runs the action. What it throws is logged and reported under `place`; returns false if it threw.
// For the top level of callbacks and of loop iterations. An action that expects errors catches them
// itself.
bool run_guarded(const std::string& place, const std::function<void()>& action) noexcept;

// Sleeps until the time is over (true) or a stop is requested (false).
bool sleep_unless_stopped(const std::stop_token& stop, std::chrono::milliseconds duration);

}  // namespace base
