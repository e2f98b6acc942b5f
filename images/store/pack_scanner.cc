#include "images/store/pack_scanner.h"

#include <optional>

#include "base/error.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using format::RecordHeader;
using format::RecordKind;

// The offset of a sealed pack's directory record; nothing for an unsealed pack.
std::optional<uint64_t> directory_offset(const base::ReadableFile& file, uint64_t size) {
  if (size < format::kPackHeaderSize + format::kRecordHeaderSize + format::kPackFooterSize)
    return std::nullopt;
  Bytes footer(format::kPackFooterSize);
  file.read_at(size - footer.size(), footer);
  auto offset = format::decode_pack_footer(footer);
  bool good = offset && *offset >= format::kPackHeaderSize &&
              *offset <= size - format::kPackFooterSize - format::kRecordHeaderSize;
  return good ? offset : std::nullopt;
}

// The entries of a directory, if it is intact and lists only places before itself.
std::optional<std::vector<format::DirectoryEntry>> read_directory(const base::ReadableFile& file,
                                                                  uint64_t size, uint64_t offset) {
  uint64_t limit = size - format::kPackFooterSize - offset;
  Bytes bytes(limit);
  file.read_at(offset, bytes);
  auto header = format::decode_record_header(bytes);
  if (!header || header->kind != RecordKind::directory ||
      header->stored_size != limit - format::kRecordHeaderSize) {
    return std::nullopt;
  }
  ByteView stored = ByteView(bytes).subspan(format::kRecordHeaderSize);
  if (base::checksum64(stored) != header->checksum) return std::nullopt;
  std::vector<format::DirectoryEntry> entries;
  try {
    entries = format::decode_directory(stored);
  } catch (const Error&) {
    return std::nullopt;  // intact, but not written by this program
  }
  uint64_t end = format::kPackHeaderSize;
  for (const auto& entry : entries) {
    if (entry.offset < end) return std::nullopt;
    end = uint64_t{entry.offset} + format::kRecordHeaderSize + entry.stored_size;
  }
  if (end > offset) return std::nullopt;
  return entries;
}

// Verifies what the directory lists. Bytes between its records (left by a power cut, in a pack that
// was sealed by the next writer) are ignored.
void verify_listed(ByteView bytes, const std::vector<format::DirectoryEntry>& listed,
                   PackContents& contents) {
  for (const auto& record : listed) {
    ByteView rest = bytes.subspan(record.offset);
    auto header = format::decode_record_header(rest.first(format::kRecordHeaderSize));
    bool whole = header && header->kind == record.kind &&
                 header->stored_size == record.stored_size && header->id == record.id;
    whole = whole && base::checksum64(rest.subspan(format::kRecordHeaderSize,
                                                   record.stored_size)) == header->checksum;
    if (whole) contents.records.push_back(record);
    else
      contents.problems.push_back("the record at " + std::to_string(record.offset) + " is damaged");
  }
}

// Finds records in a pack without a directory, front to back.
void scan_records(ByteView bytes, PackContents& contents) {
  size_t at = format::kPackHeaderSize;
  while (at + format::kRecordHeaderSize <= bytes.size()) {
    auto header = format::decode_record_header(bytes.subspan(at, format::kRecordHeaderSize));
    if (!header || header->stored_size > bytes.size() - at - format::kRecordHeaderSize) {
      size_t next = format::find_record_magic(bytes, at + 1);
      contents.problems.push_back("bytes " + std::to_string(at) + " to " + std::to_string(next) +
                                  " hold no record");
      at = next;
      continue;
    }
    size_t end = at + format::kRecordHeaderSize + header->stored_size;
    ByteView stored = bytes.subspan(at + format::kRecordHeaderSize, header->stored_size);
    bool whole = base::checksum64(stored) == header->checksum;
    if (!whole) {
      contents.problems.push_back("the record at " + std::to_string(at) + " is damaged");
    } else if (header->kind != RecordKind::directory) {
      contents.records.push_back(
          {header->kind, static_cast<uint32_t>(at), header->stored_size, header->id});
      contents.records_end = end;
    }
    at = end;
  }
}

}  // namespace

PackContents scan_pack(BlobStore& blobs, const StoreId& store_id, const PackId& pack,
                       ScanDepth depth) {
  auto file = blobs.open(layout::pack_file("", pack));
  PackContents contents;
  contents.size = file->size();
  contents.records_end = format::kPackHeaderSize;
  if (contents.size < format::kPackHeaderSize || contents.size > kMaxPackFile) {
    contents.problems.push_back("it has " + std::to_string(contents.size) + " bytes");
    return contents;
  }
  std::optional<std::vector<format::DirectoryEntry>> listed;
  if (auto offset = directory_offset(*file, contents.size)) {
    listed = read_directory(*file, contents.size, *offset);
    if (!listed) contents.problems.push_back("its directory is damaged");
    else contents.records_end = *offset;
  }
  contents.sealed = listed.has_value();
  if (listed && depth == ScanDepth::directory) {
    contents.records = std::move(*listed);
    return contents;
  }
  Bytes bytes(contents.size);
  file->read_at(0, bytes);
  try {
    format::check_pack_header(ByteView(bytes).first(format::kPackHeaderSize), store_id, pack);
  } catch (const Error& error) {
    contents.problems.push_back(error.message());
    contents.header_is_damaged = true;
    // The records carry their own ids and checksums; a pack of another store would only waste
    // space.
  }
  if (listed) verify_listed(bytes, *listed, contents);
  else scan_records(bytes, contents);
  return contents;
}

std::vector<PackId> collect_packs(BlobStore& blobs) {
  std::vector<PackId> packs;
  std::string top = layout::packs_directory("");
  for (const std::string& shard : blobs.list(top)) {
    if (shard.size() != 2) continue;
    for (const std::string& name : blobs.list_tidied(base::join_path(top, shard))) {
      if (auto pack = layout::pack_of_name(name)) packs.push_back(*pack);
    }
  }
  return packs;
}

}  // namespace images
