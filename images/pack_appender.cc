#include "images/pack_appender.h"

#include <exception>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "images/layout.h"

namespace images {
namespace {

constexpr size_t kWriteSize = 1u << 20;

}  // namespace

base::Bytes encode_pack_tail(uint64_t offset, const std::vector<format::DirectoryEntry>& entries) {
  Record record;
  record.stored = format::encode_directory(entries);
  record.header.kind = format::RecordKind::directory;
  record.header.stored_size = record.header.plain_size =
      static_cast<uint32_t>(record.stored.size());
  record.header.checksum = base::checksum64(record.stored);
  base::Bytes tail;
  format::encode_record_header(record.header, tail);
  tail.insert(tail.end(), record.stored.begin(), record.stored.end());
  base::Bytes footer = format::encode_pack_footer(offset);
  tail.insert(tail.end(), footer.begin(), footer.end());
  return tail;
}

void list_record(IndexTransaction& transaction, const format::DirectoryEntry& record,
                 uint32_t pack_number, uint32_t epoch) {
  auto known = transaction.find_chunk(record.id);
  if (known && known->present()) return;
  ChunkEntry entry;
  if (known) {
    entry.references = known->references;
    if (known->references > 0) {
      if (auto old = transaction.find_pack(known->pack)) {
        old->live_size -= std::min(old->live_size, known->record_size());
        transaction.put_pack(known->pack, *old);
      }
    }
  }
  entry.pack = pack_number;
  entry.offset = record.offset;
  entry.stored_size = record.stored_size;
  entry.epoch = epoch;
  entry.kind = record.kind;
  entry.fresh = entry.references == 0;
  transaction.put_chunk(record.id, entry);
  if (entry.references == 0) return;
  auto pack = transaction.find_pack(pack_number);
  CHECK(pack.has_value());
  pack->live_size += entry.record_size();
  transaction.put_pack(pack_number, *pack);
}

PackAppender::~PackAppender() {
  try {
    seal();
  } catch (const base::Error& error) {
    base::log().warn("the open pack could not be sealed: {}", error.message());
  }
}

bool PackAppender::is_pending(const ChunkId& id) { return state_.lock()->has_pending(id); }

uint64_t PackAppender::failure_count() { return state_.lock()->failure_count; }

uint64_t PackAppender::append(std::span<const Record> records) {
  uint64_t added = 0;
  size_t next = 0;
  while (std::optional<OpenPack> full = fill(records, next, added)) close(std::move(*full));
  return added;
}

// Appends records from `next` on, until all are there or the pack is full: then it is the caller's
// to close.
std::optional<PackAppender::OpenPack> PackAppender::fill(std::span<const Record> records,
                                                         size_t& next, uint64_t& added) {
  LockedState state = state_.lock();
  try {
    while (next < records.size()) {
      const Record& record = records[next];
      uint64_t size = format::kRecordHeaderSize + record.stored.size();
      if (state->has_pending(record.header.id)) {
        ++next;
        continue;
      }
      if (state->is_full(size, pack_size_)) {
        state.wait(closed_, [&] { return !state->closing; });
        if (!state->is_full(size, pack_size_)) continue;  // somebody else closes it
        OpenPack full = std::move(*state->pack);
        state->pack.reset();
        state->closing = true;
        state->closing_pending.swap(state->pending);
        return full;
      }
      if (!state->pack) start_pack(*state);
      OpenPack& pack = *state->pack;
      pack.directory.push_back({record.header.kind, static_cast<uint32_t>(pack.size()),
                                record.header.stored_size, record.header.id});
      state->pending.insert(record.header.id);
      format::encode_record_header(record.header, pack.buffer);
      pack.buffer.insert(pack.buffer.end(), record.stored.begin(), record.stored.end());
      added += size;
      ++next;
      if (pack.buffer.size() >= kWriteSize) write_buffer(pack);
    }
  } catch (...) {
    give_up(*state);
    throw;
  }
  return std::nullopt;
}

void PackAppender::close(OpenPack pack) {
  std::exception_ptr failure;
  try {
    seal(pack);
  } catch (...) {
    failure = std::current_exception();
    cut_off(pack);
  }
  {
    LockedState state = state_.lock();
    if (failure && !state->closing_pending.empty()) ++state->failure_count;
    state->closing_pending.clear();
    state->closing = false;
  }
  closed_.notify_all();
  if (failure) std::rethrow_exception(failure);
}

PackAppender::LockedState PackAppender::lock_when_none_closes() {
  LockedState state = state_.lock();
  state.wait(closed_, [&] { return !state->closing; });
  return state;
}

void PackAppender::flush() {
  LockedState state = lock_when_none_closes();
  if (!state->pack) return;
  try {
    flush_locked(*state);
  } catch (...) {
    give_up(*state);
    throw;
  }
}

void PackAppender::seal() {
  LockedState state = lock_when_none_closes();
  if (!state->pack) return;
  try {
    seal(*state->pack);
  } catch (...) {
    give_up(*state);
    throw;
  }
  state->pending.clear();
  state->pack.reset();
}

void PackAppender::start_pack(State& state) {
  OpenPack pack;
  pack.id = PackId::random();
  std::string shard = layout::pack_shard(store_, pack.id);
  base::make_directory_durably(files_, shard);
  pack.file = files_.create(layout::pack_file(store_, pack.id));
  files_.sync_directory(shard);
  pack.buffer = format::encode_pack_header(parameters_.id, pack.id);
  pack.buffer.reserve(kWriteSize + (64u << 10));
  state.pack = std::move(pack);
}

void PackAppender::write_buffer(OpenPack& pack) {
  pack.file->append(pack.buffer);
  pack.buffer.clear();
}

void PackAppender::flush_locked(State& state) {
  OpenPack& pack = *state.pack;
  if (pack.flushed_count == pack.directory.size()) return;
  write_buffer(pack);
  pack.file->sync();
  list_in_index(pack, false);
  state.pending.clear();
}

// Ends it with its directory; durable and in the index when it returns.
void PackAppender::seal(OpenPack& pack) {
  base::Bytes tail = encode_pack_tail(pack.size(), pack.directory);
  pack.buffer.insert(pack.buffer.end(), tail.begin(), tail.end());
  write_buffer(pack);
  pack.file->sync();
  list_in_index(pack, true);
}

void PackAppender::list_in_index(OpenPack& pack, bool sealed) {
  auto transaction = index_.write();
  auto epoch = static_cast<uint32_t>(transaction->number("epoch", 1));
  uint32_t number = pack.number;
  PackEntry row{pack.id, pack.file->size(), 0, sealed};
  if (number == 0) {
    number = transaction->add_pack(row);
  } else {
    auto known = transaction->find_pack(number);
    CHECK(known.has_value());
    row.live_size = known->live_size;
    transaction->put_pack(number, row);
  }
  std::vector<format::DirectoryEntry> news(
      pack.directory.begin() + static_cast<ptrdiff_t>(pack.flushed_count), pack.directory.end());
  // In the order of the index's keys its pages are touched once each.
  std::sort(news.begin(), news.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const format::DirectoryEntry& record : news)
    list_record(*transaction, record, number, epoch);
  transaction->commit();
  pack.number = number;
  pack.flushed_count = pack.directory.size();
  pack.flushed_size = pack.file->size();
}

void PackAppender::give_up(State& state) {
  if (!state.pending.empty()) ++state.failure_count;
  state.pending.clear();
  if (state.pack) cut_off(*state.pack);
  state.pack.reset();
}

void PackAppender::cut_off(OpenPack& pack) {
  std::string path = layout::pack_file(store_, pack.id);
  try {
    pack.file.reset();
    if (pack.number == 0) files_.remove(path);
    else files_.reopen(path, pack.flushed_size)->sync();
  } catch (const base::Error& error) {
    base::log().warn("pack {} keeps a tail that nothing refers to: {}", pack.id.hex(),
                     error.message());
  }
}

}  // namespace images
