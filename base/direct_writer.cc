#include "base/direct_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>

#include "base/check.h"
#include "base/error.h"

namespace base {
namespace {

constexpr uint64_t kDirectSize = 256u << 10;  // smaller writes go through the cache
constexpr uint64_t kBufferSize = 1u << 20;

void write_cached(int fd, uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t size)
    : size_(size), bytes_(static_cast<uint8_t*>(std::aligned_alloc(kDirectBlockSize, size))) {
  CHECK(size % kDirectBlockSize == 0);
  if (!bytes_) throw std::bad_alloc();
}

// One block more than asked for: the first byte may be anywhere in a block.
BlockBuffer::BlockBuffer(size_t capacity) : memory_(capacity + kDirectBlockSize) {}

void BlockBuffer::restart(uint64_t offset) { begin_ = end_ = offset % kDirectBlockSize; }

void BlockBuffer::append(ByteView bytes) {
  CHECK(has_room(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), memory_.first(end_ + bytes.size()).subspan(end_).begin());
  end_ += bytes.size();
}

ByteView BlockBuffer::whole_blocks() {
  size_t end = end_ / kDirectBlockSize * kDirectBlockSize;
  return end <= begin_ ? ByteView{} : memory_.first(end).subspan(begin_);
}

void DirectWriter::write_at(uint64_t offset, ByteView bytes) {
  if (bytes.size() >= kDirectSize && open_direct()) {
    uint64_t head = (kDirectBlockSize - offset % kDirectBlockSize) % kDirectBlockSize;
    write_cached(fd_, offset, bytes.first(head));
    ByteView rest = bytes.subspan(head);
    uint64_t blocks = rest.size() / kDirectBlockSize * kDirectBlockSize;
    write_blocks(offset + head, rest.first(blocks));
    offset += head + blocks;
    bytes = rest.subspan(blocks);
  }
  write_cached(fd_, offset, bytes);
}

bool DirectWriter::open_direct() {
  if (!direct_ && !refused_) {
    std::string path = "/proc/self/fd/" + std::to_string(fd_);
    direct_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    refused_ = !direct_;
  }
  return !refused_;
}

void DirectWriter::write_blocks(uint64_t offset, ByteView blocks) {
  bool aligned = reinterpret_cast<uintptr_t>(blocks.data()) % kDirectBlockSize == 0;
  if (!aligned && !buffer_) buffer_ = std::make_unique<AlignedBuffer>(kBufferSize);
  while (!blocks.empty()) {
    ByteView piece = blocks;
    if (!aligned) {
      piece = blocks.first(std::min<size_t>(blocks.size(), kBufferSize));
      std::copy(piece.begin(), piece.end(), buffer_->first(piece.size()).begin());
      piece = buffer_->first(piece.size());
    }
    ssize_t result =
        ::pwrite(direct_.get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    if (result < 0) {
      // Some file systems accept the flag and refuse the writes, others refuse certain positions.
      refused_ = refused_ || errno == EINVAL;
      return write_cached(fd_, offset, blocks);
    }
    auto count = static_cast<size_t>(result);
    offset += count;
    blocks = blocks.subspan(count);
    // A short write may have ended within a block: continue through the cache, which reports why it
    // was short.
    if (count != piece.size()) return write_cached(fd_, offset, blocks);
  }
}

}  // namespace base
