// Keeps the count of references true while points enter and leave: by the rule in tree.h, in slices
// of one index transaction each, so that memory stays bounded and an interrupted change goes on
// later. One change at a time: the caller holds the store's timeline lock.
#pragma once

#include <functional>

#include "images/open_store.h"

namespace images {

class ReferenceCounter {
 public:
  explicit ReferenceCounter(OpenStore& store) : store_(store) {}

  // The point is in the index, with all its references, when it returns. Its chunks are in the
  // index.
  void add(const format::PublicManifest& point);
  // The point has left the index when it returns. Its trees are still readable.
  void remove(const format::PublicManifest& point);
  // Ends a change that a predecessor began.
  void finish_pending();

 private:
  void run(TimelineChange change);

  OpenStore& store_;
};

}  // namespace images
