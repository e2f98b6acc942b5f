// Lists what a pack holds: by its directory when it is sealed and whole, else record by record,
// passing over damage. Function; thread-safe. Reads the whole pack into memory only when it must
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
  bool header_is_damaged = false;  // known only where the whole pack was read
  uint64_t size = 0;               // of the file
  uint64_t records_end = 0;        // behind the last whole record
  std::vector<std::string> problems;
};

enum class ScanDepth { directory, every_record };

// With every_record, or without a directory, lists only records whose stored bytes match their
// checksum, and tells of the others. Throws what the file system throws; a pack that is no pack at
// all has a problem and no records.
PackContents scan_pack(base::FileSystem& files, const std::string& store, const StoreId& store_id,
                       const PackId& pack, ScanDepth depth);

// All packs that lie in the store's folders. Removes what a pack written in one piece left when it
// was cut short: files that end in ".pack.tmp". For the writer alone.
std::vector<PackId> take_stock_of_packs(base::FileSystem& files, const std::string& store);

}  // namespace images
