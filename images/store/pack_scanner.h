// Lists the content of a pack: from its directory if it is sealed and intact, otherwise record by
// record, skipping damage. Function; thread-safe. Reads the whole pack into memory only if it must
// (at most kMaxPackFile bytes).
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "images/format/store_format.h"

namespace images {

constexpr uint64_t kMaxPackFile = 136u << 20;

struct PackContents {
  std::vector<format::DirectoryEntry> records;  // by offset
  bool sealed = false;
  bool header_is_damaged = false;  // known only if the whole pack was read
  uint64_t size = 0;               // of the file
  uint64_t records_end = 0;        // after the last whole record
  std::vector<std::string> problems;
};

enum class ScanDepth { directory, every_record };

// With every_record, or without a directory, lists only records whose stored bytes match their
// checksum, and reports the others. Throws what the file system throws; a file that is not a pack
// at all has a problem and no records.
PackContents scan_pack(base::FileSystem& files, const std::string& store, const StoreId& store_id,
                       const PackId& pack, ScanDepth depth);

// All packs in the store's folders. Removes files ending in ".pack.tmp", left by a pack that was
// written in one piece and interrupted. Only for the writer.
std::vector<PackId> collect_packs(base::FileSystem& files, const std::string& store);

}  // namespace images
