// Names in a FAT file system (12, 16 or 32 bit), such as an EFI system partition, read from a disk
// of a point. Everything is hostile input: all reads are bounded, and a file system that contradicts
// itself has no names. Format: Microsoft's "FAT: General Overview of On-Disk Format". Not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "images/disk_source.h"

namespace appliance::boot {

struct FatEntry {
  std::string name;  // the long name if there is one, otherwise the short one; ASCII, others as '?'
  bool is_directory = false;
  uint32_t first_cluster = 0;
  uint32_t size = 0;  // bytes, of a file
};

// Compared ignoring case, as FAT does, of ASCII.
bool is_same_fat_name(std::string_view a, std::string_view b);

class FatReader {
 public:
  // `offset` is where the file system begins, in bytes. None if there is no FAT file system. Throws
  // what the disk throws.
  static std::optional<FatReader> open(images::DiskSource& disk, uint64_t offset);

  // The entries of the folder at `path` ("" is the root, "EFI/BOOT"), at most kMaxEntries; empty if
  // there is no such folder. Names are compared ignoring case.
  std::vector<FatEntry> list(std::string_view path);

  // The content of the file at `path`; none if there is no such file, it has more than `limit` bytes,
  // or its clusters end before it does.
  std::optional<base::Bytes> read_file(std::string_view path, uint32_t limit);

  static constexpr size_t kMaxEntries = 1024;

 private:
  explicit FatReader(images::DiskSource& disk, uint64_t offset) : disk_(disk), offset_(offset) {}
  bool read_header();
  std::vector<FatEntry> list_clusters(uint32_t first_cluster);
  std::vector<FatEntry> list_root();
  std::optional<uint32_t> next_cluster(uint32_t cluster);
  base::Bytes read_at(uint64_t offset, uint64_t size);

  images::DiskSource& disk_;
  uint64_t offset_;
  int bits_ = 32;  // of an entry of the table
  uint64_t cluster_size_ = 0;
  uint64_t table_begin_ = 0, root_begin_ = 0, root_size_ = 0,
           data_begin_ = 0;  // within the file system
  uint32_t cluster_count_ = 0, root_cluster_ = 0;
};

}  // namespace appliance::boot
