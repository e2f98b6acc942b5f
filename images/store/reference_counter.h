// Keeps the count of references true while points enter and leave: by the rule in tree.h, in slices
// of one index transaction each, so that memory stays bounded and an interrupted change goes on
// later. One change at a time: the caller holds the store's timeline lock.
//
// A point that leaves costs one small transaction: its references are taken away later, those of
// many points together, because ids are hashes and each touches a page of the index of its own.
// Until then a count is too high, never too low. In which order counts are changed does not matter:
// what a change amounts to was settled by the neighbours that its point had when it came or went,
// and what these refer to is not freed before everybody who left was counted.
#pragma once

#include <functional>

#include "images/store/open_store.h"

namespace images {

class ReferenceCounter {
 public:
  explicit ReferenceCounter(OpenStore& store) : store_(store) {}

  // The point is in the index, with all its references, when it returns. Its chunks are in the
  // index.
  void add(const format::PublicManifest& point);
  // The point has left the index when it returns, and its references are to be taken away. Its
  // trees are still readable.
  void remove(const format::PublicManifest& point);
  // Takes the references away of all points that left. Before anything is freed. If it fails, it
  // goes on the next time.
  void count_departures();
  // Ends a change that a predecessor began, or that failed.
  void finish_pending();

 private:
  OpenStore& store_;
};

}  // namespace images
