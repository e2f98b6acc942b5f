// A bounded map that discards the least recently used value. Thread-safe; values are shared, so
// that one in use outlives its eviction.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "base/guarded.h"

namespace base {

template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  // Null if it is not there.
  std::shared_ptr<Value> find(const Key& key) {
    auto state = state_.lock();
    auto found = state->slots.find(key);
    if (found == state->slots.end()) return nullptr;
    state->by_use.splice(state->by_use.begin(), state->by_use, found->second.place);
    return found->second.value;
  }

  // Keeps an existing value, if there is one.
  void put(const Key& key, std::shared_ptr<Value> value) {
    if (capacity_ == 0) return;
    auto state = state_.lock();
    if (state->slots.count(key) != 0) return;
    while (state->slots.size() >= capacity_) {
      state->slots.erase(state->by_use.back());
      state->by_use.pop_back();
    }
    state->by_use.push_front(key);
    state->slots.emplace(key, Slot{std::move(value), state->by_use.begin()});
  }

 private:
  struct Slot {
    std::shared_ptr<Value> value;
    typename std::list<Key>::iterator place;
  };
  struct State {
    std::unordered_map<Key, Slot> slots;
    std::list<Key> by_use;  // most recent first
  };
  size_t capacity_;
  Guarded<State> state_;
};

}  // namespace base
