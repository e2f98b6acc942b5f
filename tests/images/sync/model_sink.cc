#include "tests/images/sync/model_sink.h"

#include <zstd.h>

#include "base/check.h"

namespace images {

base::Bytes decode(const EncodedChunk& chunk, uint32_t chunk_size) {
  if (chunk.codec == Codec::raw) return {chunk.bytes.begin(), chunk.bytes.end()};
  base::Bytes plain(chunk_size);
  size_t size = ZSTD_decompress(plain.data(), plain.size(), chunk.bytes.data(), chunk.bytes.size());
  CHECK(size == chunk_size);
  return plain;
}

std::vector<bool> ModelSink::lacking(std::span<const PlacedChunk> places) {
  auto state = state_.lock();
  std::vector<bool> lacking;
  for (const PlacedChunk& place : places) {
    lacking.push_back(!place.id.is_zero() && state->chunks.count(place.id) == 0);
  }
  return lacking;
}

void ModelSink::send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) {
  if (on_send) on_send(batch);
  std::map<size_t, EncodedChunk> fresh;
  for (size_t i = 0; i < batch.places.size(); ++i) {
    const ChunkId& id = batch.places[i].id;
    if (!id.is_zero() && !state_.lock()->chunks.contains(id)) fresh.emplace(i, encode(i));
  }
  auto state = state_.lock();
  check_order(*state, batch);
  for (auto& [i, chunk] : fresh) {
    state->bytes_sent += chunk.bytes.size();
    state->encoded += 1;
    base::Bytes plain = decode(chunk, hasher_.chunk_size());
    if (hasher_.id_of(plain) != batch.places[i].id)
      state->broken.push_back("a chunk is not what its id says");
    state->chunks.emplace(batch.places[i].id, std::move(plain));
  }
  for (const PlacedChunk& chunk : batch.places) place(*state, batch, chunk);
}

void ModelSink::check_order(State& state, const Batch& batch) {
  auto broken = [&](const char* rule) { state.broken.push_back(rule); };
  if (!state.sequences.insert(batch.sequence).second) broken("a sequence came twice");
  if (batch.sequence >= state.smallest_missing + kMaxBatchesInFlight)
    broken("too many batches in flight");
  while (state.sequences.contains(state.smallest_missing)) state.smallest_missing += 1;
  if (batch.places.size() > kMaxBatchPlaces) broken("a batch is too large");
  if (batch.places.empty()) return;

  uint64_t end = batch.places.front().index;
  for (const PlacedChunk& chunk : batch.places) {
    if (chunk.index < end || chunk.count == 0) broken("places overlap");
    if (chunk.count > 1 && !chunk.id.is_zero()) broken("a run that is not of zeros");
    if (chunk.id.is_zero() && !state.disks[batch.disk].planned.base)
      broken("zeros sent without need");
    end = chunk.index + chunk.count;
  }
  auto& ends = state.ends[batch.disk];
  auto [here, fresh] = ends.emplace(batch.sequence, std::pair(batch.places.front().index, end));
  if (here != ends.begin() && std::prev(here)->second.second > here->second.first)
    broken("batches out of order");
  if (std::next(here) != ends.end() && std::next(here)->second.first < end)
    broken("batches out of order");
}

void ModelSink::place(State& state, const Batch& batch, const PlacedChunk& chunk) {
  base::Bytes& content = state.disks[batch.disk].content;
  const uint64_t chunk_size = hasher_.chunk_size();
  for (uint64_t index = chunk.index; index < chunk.index + chunk.count; ++index) {
    uint64_t offset = index * chunk_size;
    if (offset >= content.size()) {
      state.broken.push_back("a place after the disk's end");
      return;
    }
    uint64_t length = std::min(chunk_size, content.size() - offset);
    auto to = content.begin() + static_cast<ptrdiff_t>(offset);
    if (chunk.id.is_zero()) {
      std::fill_n(to, length, uint8_t{0});
      continue;
    }
    const base::Bytes& plain = state.chunks.at(chunk.id);
    std::copy_n(plain.begin(), length, to);
    if (!base::is_all_zero(base::ByteView(plain).subspan(length)))
      state.broken.push_back("no zero filling");
  }
}

SinkProgress ModelSink::progress() const {
  uint64_t sent = state_.lock()->bytes_sent;
  return {.bytes_sent = sent, .bytes_stored = sent};
}

PointId ModelSink::commit(const PointDetails& details) {
  auto state = state_.lock();
  if (state->smallest_missing != state->sequences.size())
    state->broken.push_back("sequences have gaps");
  return details.lineage.origin ? details.lineage.origin->point : PointId::random();
}

}  // namespace images
