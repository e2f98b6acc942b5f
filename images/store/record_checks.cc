#include "images/store/record_checks.h"

#include <optional>

#include "base/error.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::RecordHeader;

// The header, with its stored bytes following it in `bytes`; nothing if there is another record, or
// none.
std::optional<RecordHeader> read_record(const base::ReadableFile& pack,
                                        const format::DirectoryEntry& record, base::Bytes& bytes) {
  bytes.resize(format::kRecordHeaderSize + record.stored_size);
  try {
    pack.read_at(record.offset, bytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::corrupt) return std::nullopt;  // the pack ends before it
    throw;
  }
  auto header =
      format::decode_record_header(base::ByteView(bytes).first(format::kRecordHeaderSize));
  bool good = header && header->kind == record.kind && header->stored_size == record.stored_size &&
              header->id == record.id;
  return good ? header : std::nullopt;
}

}  // namespace

bool record_is_whole(const base::ReadableFile& pack, const format::DirectoryEntry& record) {
  base::Bytes bytes;
  auto header = read_record(pack, record, bytes);
  return header && base::checksum64(base::ByteView(bytes).subspan(format::kRecordHeaderSize)) ==
                       header->checksum;
}

bool record_content_is_right(const StoreContext& store, const base::ReadableFile& pack,
                             const format::DirectoryEntry& record) {
  base::Bytes bytes;
  auto header = read_record(pack, record, bytes);
  if (!header) return false;
  base::ByteView stored = base::ByteView(bytes).subspan(format::kRecordHeaderSize);
  try {
    if (header->kind == format::RecordKind::node) {
      store.codec.open_node(*header, stored);
      // Without the key the id of a node cannot be computed either.
      return !store.codec.can_open_chunks() || store.hasher.id_of(stored) == record.id;
    }
    base::Bytes plain(store.parameters.chunk_size);
    store.codec.open_chunk(*header, stored, plain);
    return store.hasher.id_of(plain) == record.id;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unauthorized) throw;
    return false;
  }
}

}  // namespace images
