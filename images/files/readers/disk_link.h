// The disks as muletto-files sees them: reads that are asked of its starter over the socket, with a
// bounded cache, and windows of disks. Not thread-safe.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "base/bytes.h"
#include "images/disk_source.h"
#include "images/files/files_format.h"

namespace images::files {

// The socket to the starter. Ends the process when the other end is gone.
class Link {
 public:
  explicit Link(int fd) : fd_(fd) {}

  base::Bytes receive();
  void send(const base::Bytes& message);
  // Throws io with the starter's words.
  base::Bytes read_disk(uint32_t disk, uint64_t offset, uint32_t length);

 private:
  void read_exactly(uint8_t* to, size_t size);
  const int fd_;
};

class LinkedDisk : public DiskSource {
 public:
  LinkedDisk(Link& link, uint32_t number, uint64_t size)
      : link_(link), number_(number), size_(size) {}

  uint64_t size() const override { return size_; }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override;

 private:
  static constexpr uint64_t kBlock = 64 << 10;  // bytes
  static constexpr size_t kCached = 384;        // blocks: 24 MiB

  using Block = base::Bytes;
  const Block& block(uint64_t number);
  void put(uint64_t number, Block bytes);

  Link& link_;
  const uint32_t number_;
  const uint64_t size_;
  uint64_t last_missed_ = UINT64_MAX;             // block
  std::list<std::pair<uint64_t, Block>> blocks_;  // most recently used first
  std::unordered_map<uint64_t, std::list<std::pair<uint64_t, Block>>::iterator> places_;
};

// A part of another disk, such as a partition.
class DiskWindow : public DiskSource {
 public:
  // `below` must outlive it, and hold all of it.
  DiskWindow(DiskSource& below, uint64_t begin, uint64_t size)
      : below_(below), begin_(begin), size_(size) {}

  uint64_t size() const override { return size_; }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    below_.read(begin_ + offset, out);
  }

 private:
  DiskSource& below_;
  const uint64_t begin_, size_;
};

}  // namespace images::files
