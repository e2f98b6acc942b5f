// The messages between the program muletto-files, which reads a guest's file systems without rights,
// and the process that runs it. One socket; each message is a u32 length of what follows, a u8 kind
// and a body, little-endian. The process asks one thing at a time. Until the answer's `end`, the
// program sends its parts, and may ask for bytes of the disks, which are its only way to them:
//
//   process                         muletto-files
//   list "/etc" ------------------>
//                 <---------------- read disk 0 at 1 MiB, 64 KiB
//   bytes ------------------------>
//                 <---------------- entry, entry, entry
//                 <---------------- end
//
// The program's messages are hostile: everything is bounded, and unpack functions throw corrupt for
// what is not such a message. Functions; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "images/files/node.h"
#include "images/volumes/keys/volume_key.h"

namespace images::files {

enum class MessageKind : uint8_t {
  // To the program.
  open = 1,
  list = 2,
  look = 3,
  read = 4,
  walk = 5,
  disk_bytes = 16,
  // From it.
  end = 32,
  found = 33,
  entry = 34,
  ranges = 35,  // of the file of the last entry: what is to come
  data = 36,
  content_end = 37,
  problem = 38,
  progress = 39,
  disk_read = 48,
};

constexpr size_t kMaxMessage = (1 << 20) + (256 << 10);  // bytes, with its kind
constexpr size_t kMaxDiskRead = 1 << 20;                 // bytes
constexpr size_t kMaxDataPiece = 1 << 20;                // bytes

struct OpenRequest {
  struct Disk {
    std::string name;
    uint64_t size = 0;  // bytes
  };
  std::vector<Disk> disks;
  std::vector<volumes::VolumeKey> keys;
};

// What is asked about a path of a file system.
struct PathRequest {
  uint32_t file_system = 0;  // its place in the list that was found
  std::string path{};        // bytes, from the file system's root
  uint64_t cursor = 0;       // list: where to go on; read: the offset
  uint64_t limit = 0;        // list: entries; read: bytes
  // In place of a path: what an earlier answer named.
  std::optional<NodeId> id{};
};

struct WalkRequest {
  uint32_t file_system = 0;
  std::string path;
  bool with_content = false;  // and with extended attributes
  // The content of a file with several names follows only the first of them (link_memory.h).
  bool links_once = true;
  std::string pattern{};  // only what matches; empty: all (name_text.h)
  bool ignores_case = false;
};

struct Entry {
  // list: the name; look: empty; walk: the path below where it began, empty for that itself.
  std::string path;
  Node node;
};

struct Data {
  uint64_t offset = 0;
  base::Bytes bytes;
};

// Of a path, or of a file's content (content_end, where an empty `why` says that it is whole).
struct Problem {
  std::string path, why;
};

struct Progress {
  uint64_t folder_count = 0, file_count = 0;
};

struct End {
  bool is_good = true;
  base::ErrorCode code = base::ErrorCode::io;
  std::string words;
  uint64_t cursor = 0;    // list: where the next page begins
  bool has_more = false;  // list
};

struct DiskRead {
  uint32_t disk = 0;
  uint64_t offset = 0;
  uint32_t length = 0;
};

base::Bytes pack(const OpenRequest& request);
base::Bytes pack(MessageKind kind, const PathRequest& request);
base::Bytes pack(const WalkRequest& request);
base::Bytes pack(const FoundFileSystems& found);
base::Bytes pack(const Entry& entry);
base::Bytes pack(const std::vector<DataRange>& ranges);
base::Bytes pack_data(uint64_t offset, base::ByteView bytes);
base::Bytes pack(MessageKind kind, const Problem& problem);
base::Bytes pack(const Progress& progress);
base::Bytes pack(const End& end);
base::Bytes pack(const DiskRead& read);
// `problem` empty: `bytes` is what was asked for.
base::Bytes pack_disk_bytes(std::string_view problem, base::ByteView bytes);

// Of a whole message without its length. Each throws corrupt.
MessageKind kind_of(base::ByteView message);
OpenRequest unpack_open(base::ByteView message);
PathRequest unpack_path(base::ByteView message);
WalkRequest unpack_walk(base::ByteView message);
FoundFileSystems unpack_found(base::ByteView message);
Entry unpack_entry(base::ByteView message);
std::vector<DataRange> unpack_ranges(base::ByteView message);
Data unpack_data(base::ByteView message);
Problem unpack_problem(base::ByteView message);
Progress unpack_progress(base::ByteView message);
End unpack_end(base::ByteView message);
DiskRead unpack_disk_read(base::ByteView message);
struct DiskBytes {
  std::string problem;
  base::Bytes bytes;
};
DiskBytes unpack_disk_bytes(base::ByteView message);

}  // namespace images::files
