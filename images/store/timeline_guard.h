// Who may change the timelines of a store, and whether its index still says what its manifests say.
// Thread-safe.
#pragma once

#include <atomic>
#include <mutex>

#include "base/error.h"

namespace images {

struct TimelineGuard {
  // One change of the timelines at a time, including its I/O: the next one counts from its result.
  // Freeing holds it too: while a change is being counted, what it is going to read must not be
  // freed. Locked before SyncRegistry::freeing.
  std::mutex mutex;

  // False once a manifest was added or removed and the index could not follow. Then nothing more is
  // written; the next opening brings the index up to date. Changed with `mutex` held.
  std::atomic<bool> sound{true};

  void require_sound() const {
    if (sound) return;
    throw base::Error(base::ErrorCode::io,
                      "the store's index could not be brought up to date; open the store again");
  }
};

}  // namespace images
