// One file of a chain of images, each of which holds what changed since the one below. Reads are
// bounded; everything in the file may have been chosen by an attacker. Implementations: vhd_layer.h,
// vhdx_layer.h. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace images {

// How a file names the one below it.
struct ParentLink {
  std::string id;                  // that file must have this identity; hexadecimal
  std::vector<std::string> names;  // as they were on the old host, the likeliest first
};

enum class LayerContent {
  here,   // in this file
  zero,   // zeros
  below,  // as in the file below, or zeros if there is none
};

struct LayerRun {
  uint64_t length = 0;  // bytes
  LayerContent content = LayerContent::below;
  uint64_t file_offset = 0;  // of content that is here
};

class ImageLayer {
 public:
  virtual ~ImageLayer() = default;

  virtual uint64_t size() const = 0;                // of the disk, bytes
  virtual const std::string& identity() const = 0;  // what a child's ParentLink::id must be
  virtual const ParentLink* parent() const = 0;     // null: it is complete
  // The longest run from `offset`, up to `end`, which is within the disk. Throws io, corrupt.
  virtual LayerRun run_at(uint64_t offset, uint64_t end) const = 0;
};

}  // namespace images
