// Writes to a file past the page cache. Pages that are written once and not read soon cost more to
// provide than the disk takes to write them (docs/performance.md, "Where the time goes"). Small
// writes, and the parts of large ones that are no whole blocks, go through the cache, as everything
// does where the file system knows no direct writes. Not thread-safe; several objects may write to
// one file, each to places of its own. What is written is visible to readers at once and durable
// after fdatasync() of the file, as with any write.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace base {

// Memory that direct writes take as it is; its content is undefined at first.
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

// Gathers bytes for one place of a file, so laid that the file's blocks are blocks of memory: a
// DirectWriter takes them without a copy. Of fixed size; not thread-safe.
class BlockBuffer {
 public:
  explicit BlockBuffer(size_t capacity);  // bytes, a multiple of kDirectBlockSize
  // Empties it; the next byte belongs at `offset` of the file.
  void restart(uint64_t offset);
  bool has_room(size_t size) const { return end_ + size <= memory_.size(); }
  void append(ByteView bytes);  // there is room
  size_t size() const { return end_ - begin_; }
  ByteView bytes() { return memory_.first(end_).subspan(begin_); }
  // Those up to the last whole block; none before one is whole.
  ByteView whole_blocks();

 private:
  AlignedBuffer memory_;
  size_t begin_ = 0, end_ = 0;
};

class DirectWriter {
 public:
  // `fd` is open for writing and outlives the writer.
  explicit DirectWriter(int fd) : fd_(fd) {}

  // All of `bytes` at `offset`. Without a copy if both lie on a block's begin. Throws io, no_space
  // (without a path: the caller knows it); any part may be written then.
  void write_at(uint64_t offset, ByteView bytes);

 private:
  bool open_direct();
  void write_blocks(uint64_t offset, ByteView blocks);

  int fd_;
  UniqueFd direct_;       // the same file, once it is needed
  bool refused_ = false;  // it takes no direct writes
  std::unique_ptr<AlignedBuffer> buffer_;
};

}  // namespace base
