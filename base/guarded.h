// A value that cannot be accessed without its lock.
//   Guarded<State> state_;
//   auto state = state_.lock();
//   state->count += 1;
//   state.wait(condition, …);
// In a loop, name the Locked first: `for (x : *state_.lock())` releases the lock before the first
// iteration.
#pragma once

#include <condition_variable>
#include <mutex>

namespace base {

template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  class Locked {
   public:
    explicit Locked(Guarded& owner) : owner_(owner), lock_(owner.mutex_) {}
    T* operator->() { return &owner_.value_; }
    T& operator*() { return owner_.value_; }
    // Waits until `ready()` holds; the lock is released meanwhile.
    template <typename Ready>
    void wait(std::condition_variable& changed, Ready ready) {
      changed.wait(lock_, ready);
    }
    // As wait(), for at most `timeout`; false if `ready()` does not hold by then.
    template <typename Duration, typename Ready>
    bool wait_for(std::condition_variable& changed, Duration timeout, Ready ready) {
      return changed.wait_for(lock_, timeout, ready);
    }

   private:
    Guarded& owner_;
    std::unique_lock<std::mutex> lock_;
  };

  Locked lock() { return Locked(*this); }

 private:
  std::mutex mutex_;
  T value_{};
};

}  // namespace base
