#include "images/store/pack_appender.h"

#include <exception>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

constexpr size_t kWriteSize = 1u << 20;
constexpr size_t kBufferSize =
    4u << 20;  // may be buffered during a write; holds the largest record
constexpr size_t kPacksPerIndexTransaction = 8;  // are indexed in one transaction

}  // namespace

base::Bytes encode_pack_tail(uint64_t offset, const std::vector<format::DirectoryEntry>& entries) {
  base::Bytes directory = format::encode_directory(entries);
  format::RecordHeader header;
  header.kind = format::RecordKind::directory;
  header.stored_size = header.plain_size = static_cast<uint32_t>(directory.size());
  header.checksum = base::checksum64(directory);
  base::Bytes tail;
  format::encode_record_header(header, tail);
  tail.insert(tail.end(), directory.begin(), directory.end());
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
  while (std::optional<Work> work = fill(records, next, added)) {
    if (work->full) close(std::move(*work->full));
    else write(std::move(*work));
  }
  return added;
}

// Appends records starting at `next`, until all are appended or something has to be done in
// between.
std::optional<PackAppender::Work> PackAppender::fill(std::span<const Record> records, size_t& next,
                                                     uint64_t& added) {
  LockedState state = state_.lock();
  base::Bytes header;
  try {
    while (next < records.size()) {
      const Record& record = records[next];
      uint64_t size = format::kRecordHeaderSize + record.stored.size();
      if (state->has_pending(record.header.id)) {
        ++next;
        continue;
      }
      if (state->is_full(size, pack_size_)) {
        state.wait(idle_, [&] { return !state->closing && !state->writing; });
        if (!state->is_full(size, pack_size_)) continue;  // another thread closes it
        Work work;
        work.full = std::move(*state->pack);
        state->pack.reset();
        state->closing = true;
        state->closing_pending.merge(state->pending);
        state->pending.clear();
        return work;
      }
      if (!state->pack) start_pack(*state);
      if (!state->pack->buffer->has_room(size)) {
        state.wait(idle_, [&] { return !state->writing; });
        if (state->pack && !state->pack->buffer->has_room(size)) return take_blocks(*state);
        continue;
      }
      OpenPack& pack = *state->pack;
      pack.directory.push_back({record.header.kind, static_cast<uint32_t>(pack.size),
                                record.header.stored_size, record.header.id});
      state->pending.insert(record.header.id);
      header.clear();
      format::encode_record_header(record.header, header);
      pack.buffer->append(header);
      pack.buffer->append(record.stored);
      pack.size += size;
      added += size;
      ++next;
      if (pack.buffer->size() >= kWriteSize && !state->writing) return take_blocks(*state);
    }
  } catch (...) {
    state.wait(idle_, [&] { return !state->writing; });
    abandon_pack(*state);
    throw;
  }
  return std::nullopt;
}

// The buffered bytes up to the last whole block: the rest begins the next buffer.
PackAppender::Work PackAppender::take_blocks(State& state) {
  OpenPack& pack = *state.pack;
  auto next = take_buffer(state);
  base::ByteView blocks = pack.buffer->whole_blocks();
  base::ByteView rest = pack.buffer->bytes().subspan(blocks.size());
  next->restart(pack.size - rest.size());
  next->append(rest);
  state.writing = true;
  return {std::nullopt, std::exchange(pack.buffer, std::move(next)), pack.writer.get()};
}

void PackAppender::write(Work work) {
  std::exception_ptr failure;
  try {
    work.writer->append(work.buffer->whole_blocks());
  } catch (...) {
    failure = std::current_exception();
  }
  {
    LockedState state = state_.lock();
    state->writing = false;
    state->spare.push_back(std::move(work.buffer));
    if (failure) abandon_pack(*state);
  }
  idle_.notify_all();
  if (failure) std::rethrow_exception(failure);
}

void PackAppender::close(OpenPack pack) {
  std::exception_ptr failure;
  try {
    end_pack(pack);
  } catch (...) {
    failure = std::current_exception();
    truncate_to_flushed(pack);
  }
  std::vector<OpenPack> packs;
  {
    LockedState state = state_.lock();
    state->spare.push_back(std::move(pack.buffer));
    if (failure) forget(*state, pack);
    else state->sealed.push_back(std::move(pack));
    if (state->sealed.size() >= kPacksPerIndexTransaction) packs.swap(state->sealed);
  }
  if (!packs.empty()) {
    try {
      list_in_index(packs, nullptr, false);
      packs.clear();
    } catch (...) {
      failure = std::current_exception();
      for (OpenPack& each : packs) truncate_to_flushed(each);
    }
  }
  {
    LockedState state = state_.lock();
    if (!packs.empty()) ++state->failure_count;
    if (state->sealed.empty()) state->closing_pending.clear();
    state->closing = false;
  }
  idle_.notify_all();
  if (failure) std::rethrow_exception(failure);
}

// Drops the records of a pack that was abandoned.
void PackAppender::forget(State& state, const OpenPack& pack) {
  for (size_t i = pack.flushed_count; i < pack.directory.size(); ++i)
    state.closing_pending.erase(pack.directory[i].id);
  if (pack.flushed_count != pack.directory.size()) ++state.failure_count;
}

PackAppender::LockedState PackAppender::lock_when_idle() {
  LockedState state = state_.lock();
  state.wait(idle_, [&] { return !state->closing && !state->writing; });
  return state;
}

void PackAppender::flush() {
  LockedState state = lock_when_idle();
  if (packs_.grow()) return persist(*state, false);
  persist(*state, true);
  if (!state->pack) return;
  state->spare.push_back(std::move(state->pack->buffer));
  state->pack.reset();
}

void PackAppender::seal() {
  LockedState state = lock_when_idle();
  persist(*state, true);
  state->pack.reset();
}

// Makes everything appended so far durable and indexes it; `at_end`, the open pack is sealed.
void PackAppender::persist(State& state, bool at_end) {
  OpenPack* open = state.pack ? &*state.pack : nullptr;
  if (open != nullptr && !at_end && open->flushed_count == open->directory.size()) open = nullptr;
  if (open == nullptr && state.sealed.empty()) return;
  try {
    if (open != nullptr) {
      if (at_end) {
        end_pack(*open);
      } else {
        write_buffer(*open);
        open->writer->flush();
      }
    }
  } catch (...) {
    abandon_pack(state);
    throw;
  }
  try {
    list_in_index(state.sealed, open, at_end);
  } catch (...) {
    if (!state.sealed.empty()) ++state.failure_count;
    for (OpenPack& each : state.sealed) truncate_to_flushed(each);
    state.sealed.clear();
    state.closing_pending.clear();
    if (open != nullptr) abandon_pack(state);
    throw;
  }
  state.sealed.clear();
  state.closing_pending.clear();
  state.pending.clear();
}

void PackAppender::start_pack(State& state) {
  // A pack is created by name: never in a folder that was mounted over this store.
  lease_.require_held();
  OpenPack pack;
  pack.id = PackId::random();
  pack.writer = packs_.create(pack.id, NameDurable::at_flush);
  base::Bytes header = format::encode_pack_header(parameters_.id, pack.id);
  pack.buffer = take_buffer(state);
  pack.buffer->restart(0);
  pack.buffer->append(header);
  pack.size = header.size();
  state.pack = std::move(pack);
}

std::unique_ptr<base::BlockBuffer> PackAppender::take_buffer(State& state) {
  if (state.spare.empty()) return std::make_unique<base::BlockBuffer>(kBufferSize);
  auto buffer = std::move(state.spare.back());
  state.spare.pop_back();
  return buffer;
}

void PackAppender::write_buffer(OpenPack& pack) {
  if (pack.buffer->size() != 0) pack.writer->append(pack.buffer->bytes());
  pack.buffer->restart(pack.size);
}

// Writes its directory after its records; durable when it returns.
void PackAppender::end_pack(OpenPack& pack) {
  base::Bytes tail = encode_pack_tail(pack.size, pack.directory);
  write_buffer(pack);
  pack.writer->append(tail);
  pack.writer->flush();
}

// Sealed packs, and the open one, which may be null, up to the size of its writer.
void PackAppender::list_in_index(std::vector<OpenPack>& sealed, OpenPack* open,
                                 bool open_is_sealed) {
  auto transaction = index_.write();
  std::vector<uint32_t> numbers;
  for (const OpenPack& each : sealed) numbers.push_back(list_pack(*transaction, each, true));
  uint32_t open_number = open == nullptr ? 0 : list_pack(*transaction, *open, open_is_sealed);
  transaction->commit();
  auto note = [](OpenPack& pack, uint32_t number) {
    pack.number = number;
    pack.flushed_count = pack.directory.size();
    pack.flushed_size = pack.writer->size();
  };
  for (size_t i = 0; i < sealed.size(); ++i) note(sealed[i], numbers[i]);
  if (open != nullptr) note(*open, open_number);
}

// Returns its row.
uint32_t PackAppender::list_pack(IndexTransaction& transaction, const OpenPack& pack,
                                 bool is_sealed) {
  auto epoch = static_cast<uint32_t>(transaction.number("epoch", 1));
  uint32_t number = pack.number;
  PackEntry row{pack.id, pack.writer->size(), 0, is_sealed};
  if (number == 0) {
    number = transaction.add_pack(row);
  } else {
    auto known = transaction.find_pack(number);
    CHECK(known.has_value());
    row.live_size = known->live_size;
    transaction.put_pack(number, row);
  }
  std::vector<format::DirectoryEntry> news(
      pack.directory.begin() + static_cast<ptrdiff_t>(pack.flushed_count), pack.directory.end());
  // In the order of the index's keys, each of its pages is touched only once.
  std::sort(news.begin(), news.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const format::DirectoryEntry& record : news) list_record(transaction, record, number, epoch);
  return number;
}

void PackAppender::abandon_pack(State& state) {
  if (!state.pending.empty()) ++state.failure_count;
  state.pending.clear();
  if (state.pack) truncate_to_flushed(*state.pack);
  state.pack.reset();
}

void PackAppender::truncate_to_flushed(OpenPack& pack) {
  try {
    pack.writer.reset();
    if (pack.number == 0) blobs_.remove(layout::pack_file("", pack.id));
    else packs_.truncate(pack.id, pack.flushed_size);
  } catch (const base::Error& error) {
    base::log().warn("pack {} keeps a tail that nothing refers to: {}", pack.id.hex(),
                     error.message());
  }
}

}  // namespace images
