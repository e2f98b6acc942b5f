// What a file system holds, as values: files, folders and links with everything that a restore needs
// to make them again. They come from a guest's disk, through the program muletto-files: names are
// bytes, and nothing here is to be trusted. Values; not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace images::files {

enum class NodeKind : uint8_t {
  file,
  folder,
  link,  // symbolic
  character_device,
  block_device,
  fifo,
  socket,
  unknown,
};
constexpr uint8_t kNodeKindCount = static_cast<uint8_t>(NodeKind::unknown) + 1;

// Within one file system: of Btrfs also the subvolume, elsewhere `tree` is 0.
struct NodeId {
  uint64_t tree = 0, number = 0;
  auto operator<=>(const NodeId&) const = default;
};

// Since 1970 in UTC; may be before it. FAT keeps local times, which are taken as UTC.
struct FileTime {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;  // below 1'000'000'000
  auto operator<=>(const FileTime&) const = default;
};

struct ExtendedAttribute {
  std::string name;   // with its namespace: "user.comment"
  std::string value;  // bytes
};

struct Node {
  NodeKind kind = NodeKind::unknown;
  NodeId id;
  bool has_owner = false;  // false: the file system keeps no owner and mode of this kind
  bool is_volume = false;  // a Btrfs subvolume begins here
  uint32_t mode = 0;       // the twelve bits of permissions
  uint32_t owner = 0, group = 0;
  uint32_t link_count = 1;
  uint64_t size = 0;    // bytes
  uint64_t stored = 0;  // bytes that it takes on the disk, where that is known
  FileTime modified, changed, accessed, born;
  uint32_t device_major = 0, device_minor = 0;
  std::string target;                         // of a link, as it is stored
  std::vector<ExtendedAttribute> attributes;  // only where they were asked for
};

// A part of a file that holds data; what is between them reads as zeros.
struct DataRange {
  uint64_t offset = 0, length = 0;  // bytes
};

// A file system that was found.
struct FoundFileSystem {
  std::string name;    // what it is addressed by: "vda1", "vg0/root"; printable, without ":/"
  std::string type;    // "ext4"
  std::string origin;  // what it lies on, for people; empty: the disk itself
  std::string label, uuid;
  uint64_t size = 0;               // bytes
  std::vector<std::string> notes;  // sentences: what may be missing in it, and why
};

// Something that was looked at and cannot be read.
struct UnreadVolume {
  std::string name, why;
  bool needs_key = false;
};

struct FoundFileSystems {
  std::vector<FoundFileSystem> file_systems;
  std::vector<UnreadVolume> unread;
  std::vector<std::string> notes;
  std::vector<std::string> seen;  // all that was looked at, with what is there: "vda1: swap"
};

// Limits of what is taken from the program.
constexpr size_t kMaxName = 4096;             // bytes, of one name
constexpr size_t kMaxPath = 64 << 10;         // bytes
constexpr size_t kMaxTarget = 64 << 10;       // bytes, of a link
constexpr size_t kMaxAttribute = 64 << 10;    // bytes, of one value
constexpr size_t kMaxAttributes = 512 << 10;  // bytes, of one file
constexpr size_t kMaxAttributeCount = 1000;
constexpr size_t kMaxDepth = 256;        // folders in one another
constexpr size_t kMaxRanges = 32 << 10;  // of one file: smaller holes are sent as zeros
constexpr size_t kMaxFileSystems = 512;
constexpr size_t kMaxWords = 500;  // bytes, of one sentence

}  // namespace images::files
