// Lists the content of a pack: from its directory if it is sealed and intact, otherwise record by
// record, skipping damage. Function; thread-safe. Reads the whole pack into memory only if it must
// (at most kMaxPackFile bytes).
#pragma once

#include <string>
#include <vector>

#include "images/format/store_format.h"
#include "images/store/place/store_place.h"

namespace images {

constexpr uint64_t kMaxPackFile = 136u << 20;

struct PackContents {
  std::vector<format::DirectoryEntry> records;  // by offset
  bool sealed = false;
  bool header_is_damaged = false;  // known only if the whole pack was read
  uint64_t size = 0;               // of the pack
  uint64_t records_end = 0;        // after the last whole record
  std::vector<std::string> problems;
};

enum class ScanDepth { directory, every_record };

// With every_record, or without a directory, lists only records whose stored bytes match their
// checksum, and reports the others. Throws what the place throws; a blob that is not a pack at all
// has a problem and no records.
PackContents scan_pack(BlobStore& blobs, const StoreId& store_id, const PackId& pack,
                       ScanDepth depth);

// All packs of the store. Removes what is left of packs that were written in one piece and
// interrupted. Only for the writer.
std::vector<PackId> collect_packs(BlobStore& blobs);

}  // namespace images
