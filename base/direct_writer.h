// Writes to a file that bypass the page cache. Pages that are written once and not read soon cost
// more to provide than the disk takes to write them (docs/performance.md, "Where the time goes").
// Small writes, and the parts of large ones that are not whole blocks, go through the cache; so
// does everything if the file system does not support direct writes. Not thread-safe; several
// objects may write to one file, at different positions. Written bytes are visible to readers at
// once, and durable after fdatasync() of the file, as with any write.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace base {

// Memory suitable for direct writes; its initial content is undefined.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t size);  // bytes, a multiple of kDirectBlockSize
  MutableByteView first(size_t size) { return {bytes_.get(), size}; }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  size_t size_;
  std::unique_ptr<uint8_t[], Free> bytes_;
};

constexpr uint64_t kDirectBlockSize = 4096;  // bytes; a multiple of the block size of every disk

// Collects bytes for one place of a file, aligned so that the file's blocks are blocks of memory: a
// DirectWriter writes them without a copy. Of fixed size; not thread-safe.
class BlockBuffer {
 public:
  explicit BlockBuffer(size_t capacity);  // bytes, a multiple of kDirectBlockSize
  // Empties it; the next byte belongs at `offset` of the file.
  void restart(uint64_t offset);
  bool has_room(size_t size) const { return end_ + size <= memory_.size(); }
  void append(ByteView bytes);  // there is room
  size_t size() const { return end_ - begin_; }
  ByteView bytes() { return memory_.first(end_).subspan(begin_); }
  // The bytes up to the last whole block; empty if no block is complete.
  ByteView whole_blocks();

 private:
  AlignedBuffer memory_;
  size_t begin_ = 0, end_ = 0;
};

class DirectWriter {
 public:
  // `fd` is open for writing and outlives the writer.
  explicit DirectWriter(int fd) : fd_(fd) {}

  // Writes all of `bytes` at `offset`. Without a copy if both are aligned to a block. Throws io,
  // no_space (without a path: the caller knows it); any part may have been written then.
  void write_at(uint64_t offset, ByteView bytes);

 private:
  bool open_direct();
  void write_blocks(uint64_t offset, ByteView blocks);

  int fd_;
  UniqueFd direct_;       // the same file, opened when first needed
  bool refused_ = false;  // it does not support direct writes
  std::unique_ptr<AlignedBuffer> buffer_;
};

}  // namespace base
