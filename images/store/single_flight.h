// At most one thread works on a key at a time: a second one waits for the first, and then finds its
// result where the first has put it. Different keys do not affect each other. Thread-safe.
#pragma once

#include <condition_variable>
#include <unordered_set>
#include <utility>

#include "base/guarded.h"

namespace images {

template <typename Key>
class SingleFlight {
 public:
  class Turn {
   public:
    Turn(SingleFlight& owner, Key key) : owner_(owner), key_(std::move(key)) {}
    ~Turn() {
      owner_.keys_.lock()->erase(key_);
      owner_.changed_.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    SingleFlight& owner_;
    const Key key_;
  };

  // Returns once no other thread works on `key`; the turn lasts as long as the result lives.
  [[nodiscard]] Turn enter(const Key& key) {
    auto keys = keys_.lock();
    keys.wait(changed_, [&] { return !keys->contains(key); });
    keys->insert(key);
    return Turn(*this, key);
  }

 private:
  base::Guarded<std::unordered_set<Key>> keys_;
  std::condition_variable changed_;  // with keys_: a turn has ended
};

}  // namespace images
