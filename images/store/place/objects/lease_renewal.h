// Renews a place's leases in time, from a thread of its own, as long as it exists. Whoever opens an
// ObjectPlace for longer than ObjectLeases::kTime_ms has one.
#pragma once

#include <chrono>

#include "base/guarded_thread.h"
#include "images/store/place/objects/object_place.h"

namespace images {

class LeaseRenewal {
 public:
  // A third of the leases' time: one renewal may fail without loss.
  static constexpr std::chrono::milliseconds kInterval{ObjectLeases::kTime_ms / 3};

  // `place` must outlive it. Starts the thread.
  explicit LeaseRenewal(ObjectPlace& place, std::chrono::milliseconds interval = kInterval);

 private:
  base::GuardedThread thread_;
};

}  // namespace images
