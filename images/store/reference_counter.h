// Keeps reference counts correct while points are added and removed: by the rule in tree.h, in
// slices of one index transaction each, so that memory stays bounded and an interrupted change can
// be continued later. One change at a time: the caller holds the store's timeline lock.
//
// Removing a point costs one small transaction. Its references are subtracted later, together with
// those of many other points, because ids are hashes and each touches a different page of the
// index. Until then a count is too high, never too low. Updates commute: each change is fixed by
// the neighbours that its point had when it was added or removed, and nothing that these refer to
// is freed until all pending removals are counted.
#pragma once

#include <functional>

#include "images/store/store_context.h"

namespace images {

class ReferenceCounter {
 public:
  explicit ReferenceCounter(StoreContext& store) : store_(store) {}

  // The point is in the index, with all its references, when it returns. Its chunks must be in the
  // index.
  void add(const format::PublicManifest& point);
  // The point has been removed from the index when it returns, and its references are still to be
  // subtracted. Its trees must still be readable.
  void remove(const format::PublicManifest& point);
  // Subtracts the references of all removed points. Call it before anything is freed. If it fails,
  // the next call continues.
  void count_departures();
  // Finishes a change that an earlier writer began, or that failed.
  void finish_pending();

 private:
  StoreContext& store_;
};

}  // namespace images
