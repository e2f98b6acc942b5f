#include "images/files/readers/disk_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"

namespace images::files {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;

constexpr uint64_t kReadAhead = 8;  // blocks, where reads follow one another

}  // namespace

Bytes Link::receive() {
  std::array<uint8_t, 4> head{};
  read_exactly(head.data(), head.size());
  uint32_t length = base::load_u32(head.data());
  if (length == 0 || length > 4 * kMaxMessage) ::_exit(2);
  Bytes message(length);
  read_exactly(message.data(), message.size());
  return message;
}

void Link::send(const Bytes& message) {
  Bytes framed(4 + message.size());
  base::store_u32(framed.data(), static_cast<uint32_t>(message.size()));
  std::copy(message.begin(), message.end(), framed.begin() + 4);
  for (size_t sent = 0; sent < framed.size();) {
    ssize_t count = ::send(fd_, framed.data() + sent, framed.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) sent += static_cast<size_t>(count);
    else if (errno != EINTR) ::_exit(0);
  }
}

void Link::read_exactly(uint8_t* to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t count = ::recv(fd_, to + done, size - done, 0);
    if (count > 0) done += static_cast<size_t>(count);
    else if (count == 0 || errno != EINTR) ::_exit(0);
  }
}

Bytes Link::read_disk(uint32_t disk, uint64_t offset, uint32_t length) {
  send(pack(DiskRead{disk, offset, length}));
  Bytes message = receive();
  if (kind_of(message) != MessageKind::disk_bytes) ::_exit(2);
  DiskBytes answer = unpack_disk_bytes(message);
  if (!answer.problem.empty()) throw Error(ErrorCode::io, answer.problem);
  if (answer.bytes.size() != length) ::_exit(2);
  return std::move(answer.bytes);
}

void LinkedDisk::read(uint64_t offset, base::MutableByteView out) {
  if (offset > size_ || out.size() > size_ - offset)
    throw Error(ErrorCode::corrupt, "something lies beyond the end of the disk");
  while (!out.empty()) {
    uint64_t within = offset % kBlock;
    // What is large is read once, and would only push out what is read again.
    if (within == 0 && out.size() >= 4 * kBlock) {
      size_t size = std::min(out.size() / kBlock * kBlock, kMaxDiskRead);
      Bytes bytes = link_.read_disk(number_, offset, static_cast<uint32_t>(size));
      std::copy(bytes.begin(), bytes.end(), out.begin());
      offset += size;
      out = out.subspan(size);
      continue;
    }
    const Block& from = block(offset / kBlock);
    size_t size = std::min<size_t>(out.size(), kBlock - within);
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(within), size, out.begin());
    offset += size;
    out = out.subspan(size);
  }
}

const LinkedDisk::Block& LinkedDisk::block(uint64_t number) {
  auto found = places_.find(number);
  if (found != places_.end()) {
    blocks_.splice(blocks_.begin(), blocks_, found->second);
    return found->second->second;
  }
  bool is_next =
      last_missed_ != UINT64_MAX && number > last_missed_ && number - last_missed_ <= kReadAhead;
  last_missed_ = number;
  uint64_t begin = number * kBlock;
  uint64_t length = std::min<uint64_t>((is_next ? kReadAhead : 1) * kBlock, size_ - begin);
  Bytes bytes = link_.read_disk(number_, begin, static_cast<uint32_t>(length));
  for (uint64_t last = (length - 1) / kBlock + 1; last-- > 0;) {
    uint64_t from = last * kBlock, to = std::min(from + kBlock, length);
    put(number + last, Block(bytes.begin() + static_cast<ptrdiff_t>(from),
                             bytes.begin() + static_cast<ptrdiff_t>(to)));
  }
  return places_.at(number)->second;
}

void LinkedDisk::put(uint64_t number, Block bytes) {
  if (places_.contains(number)) return;
  while (blocks_.size() >= kCached) {
    places_.erase(blocks_.back().first);
    blocks_.pop_back();
  }
  blocks_.emplace_front(number, std::move(bytes));
  places_[number] = blocks_.begin();
}

}  // namespace images::files
