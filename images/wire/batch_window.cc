#include "images/wire/batch_window.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

template <typename... Parts>
[[noreturn]] void refuse(fmt::format_string<Parts...> text, Parts&&... parts) {
  throw Error(ErrorCode::invalid_argument, fmt::format(text, std::forward<Parts>(parts)...));
}

// The first chunk, and the one after the last; nothing for a batch without places.
std::pair<uint64_t, uint64_t> range_of(const Batch& batch) {
  if (batch.places.empty()) return {0, 0};
  return {batch.places.front().index, batch.places.back().index + batch.places.back().count};
}

}  // namespace

BatchWindow::BatchWindow(const std::vector<uint64_t>& disk_sizes, uint32_t chunk_size,
                         uint64_t byte_limit)
    : disk_ends_(disk_sizes.size(), 0), chunk_size_(chunk_size), byte_limit_(byte_limit) {
  for (uint64_t size : disk_sizes)
    chunk_counts_.push_back(size / chunk_size + (size % chunk_size != 0 ? 1 : 0));
}

void BatchWindow::check_places(const Batch& batch) const {
  if (batch.disk >= chunk_counts_.size())
    refuse("batch {} names disk {} of {}", batch.sequence, batch.disk, chunk_counts_.size());
  if (batch.places.size() > kMaxBatchPlaces)
    refuse("batch {} has {} places", batch.sequence, batch.places.size());
  uint64_t next = 0, end = chunk_counts_[batch.disk], size = 0;
  for (const PlacedChunk& place : batch.places) {
    if (place.index < next || place.index >= end || place.count == 0 ||
        place.count > end - place.index) {
      refuse("batch {} has places that overlap, descend or lie outside the disk", batch.sequence);
    }
    if (place.count > 1 && !place.id.is_zero())
      refuse("batch {} repeats a chunk that is not zero", batch.sequence);
    next = place.index + place.count;
    if (!place.id.is_zero()) size += chunk_size_;
  }
  if (size > kMaxBatchSize) refuse("batch {} has {} bytes", batch.sequence, size);
}

void BatchWindow::check_order(const Batch& batch) const {
  if (batch.places.empty()) return;
  auto [first, end] = range_of(batch);
  bool good = first >= disk_ends_[batch.disk];
  for (const auto& [sequence, other] : entries_) {
    if (other.disk != batch.disk || other.first == other.end) continue;
    good = good && (sequence < batch.sequence ? other.end <= first : end <= other.first);
  }
  if (!good) refuse("batch {} does not follow the batches before it", batch.sequence);
}

void BatchWindow::offer(const Batch& batch) {
  if (batch.sequence < floor_ || entries_.contains(batch.sequence))
    refuse("batch {} was offered twice", batch.sequence);
  if (batch.sequence - floor_ >= kMaxBatchesInFlight) {
    refuse("batch {} was offered before batch {} was done", batch.sequence, floor_);
  }
  check_places(batch);
  check_order(batch);
  Entry& added = entries_[batch.sequence];
  added.disk = batch.disk;
  std::tie(added.first, added.end) = range_of(batch);
  added.received.batch = batch;
  added.received.chunks.resize(batch.places.size());
  added.offered_as = offer_count_++;
}

BatchWindow::Entry& BatchWindow::entry(uint64_t sequence, State expected) {
  auto found = entries_.find(sequence);
  CHECK(found != entries_.end() && found->second.state == expected);
  return found->second;
}

void BatchWindow::set_lacking(uint64_t sequence, const std::vector<bool>& lacking) {
  Entry& looked_up = entry(sequence, State::offered);
  CHECK(lacking.size() == looked_up.received.batch.places.size());
  looked_up.wanted = lacking;
  looked_up.state = State::looked_up;
}

bool BatchWindow::try_grant(uint64_t sequence, Entry& entry) {
  const std::vector<PlacedChunk>& places = entry.received.batch.places;
  std::vector<bool> wanted(places.size());
  std::set<ChunkId> own;
  std::set<uint64_t> waits_for;
  for (size_t i = 0; i < places.size(); ++i) {
    if (!entry.wanted[i] || places[i].id.is_zero()) continue;
    auto bringer = provider_of_.find(places[i].id);
    if (bringer == provider_of_.end()) {
      wanted[i] = own.insert(places[i].id).second;
    } else if (entries_.contains(bringer->second) &&
               entries_[bringer->second].state != State::finished) {
      waits_for.insert(bringer->second);
    }
  }
  uint64_t size = own.size() * uint64_t{chunk_size_};
  if (granted_size_ > 0 && granted_size_ + size > byte_limit_) return false;
  for (const ChunkId& id : own) provider_of_[id] = sequence;
  entry.provides.assign(own.begin(), own.end());
  granted_size_ += size;
  entry.granted = size;
  entry.missing = own.size();
  entry.wanted = std::move(wanted);
  entry.waits_for = std::move(waits_for);
  entry.state = State::granted;
  return true;
}

BatchWindow::Steps BatchWindow::advance() {
  Steps steps;
  for (auto& [sequence, entry] : entries_) {
    if (entry.state != State::looked_up) continue;
    if (!try_grant(sequence, entry)) break;
    steps.needs.push_back({sequence, entry.wanted});
  }
  forget_retired();
  for (auto& [sequence, entry] : entries_) {
    if (entry.state != State::granted || !entry.need_sent || entry.missing > 0 ||
        !entry.waits_for.empty())
      continue;
    entry.state = State::complete;
    steps.complete.push_back(sequence);
  }
  return steps;
}

void BatchWindow::need_sent(uint64_t sequence) { entry(sequence, State::granted).need_sent = true; }

void BatchWindow::receive(const wire::Data& data) {
  auto found = entries_.find(data.sequence);
  bool asked = found != entries_.end() && found->second.state == State::granted &&
               data.place < found->second.wanted.size() && found->second.wanted[data.place] &&
               found->second.received.chunks[data.place].bytes.empty();
  if (!asked)
    refuse("chunk {} of batch {} was sent without being requested", data.place, data.sequence);
  bool possible =
      data.codec == Codec::raw ? data.bytes.size() == chunk_size_ : data.bytes.size() < chunk_size_;
  if (!possible) {
    throw Error(ErrorCode::corrupt,
                fmt::format("chunk {} of batch {} has {} bytes, which no chunk can have",
                            data.place, data.sequence, data.bytes.size()));
  }
  found->second.received.chunks[data.place] = {data.codec,
                                               base::Bytes(data.bytes.begin(), data.bytes.end())};
  --found->second.missing;
}

ReceivedBatch BatchWindow::take(uint64_t sequence) {
  return std::move(entry(sequence, State::complete).received);
}

void BatchWindow::finish(uint64_t sequence) {
  Entry& finished = entry(sequence, State::complete);
  finished.state = State::finished;
  granted_size_ -= finished.granted;
  retired_.push_back({offer_count_, std::move(finished.provides)});
  for (auto& [other, waiting] : entries_) waiting.waits_for.erase(sequence);
  while (!entries_.empty() && entries_.begin()->first == floor_ &&
         entries_.begin()->second.state == State::finished) {
    const Entry& lowest = entries_.begin()->second;
    disk_ends_[lowest.disk] = std::max(disk_ends_[lowest.disk], lowest.end);
    entries_.erase(entries_.begin());
    ++floor_;
  }
}

std::vector<ReceivedBatch> BatchWindow::salvage() {
  std::vector<ReceivedBatch> saved;
  for (auto& [sequence, entry] : entries_) {
    if (entry.state != State::granted && entry.state != State::complete) continue;
    ReceivedBatch part{{sequence, entry.disk, {}}, {}};
    for (size_t i = 0; i < entry.received.chunks.size(); ++i) {
      if (entry.received.chunks[i].bytes.empty()) continue;
      part.batch.places.push_back(entry.received.batch.places[i]);
      part.chunks.push_back(std::move(entry.received.chunks[i]));
    }
    if (!part.chunks.empty()) saved.push_back(std::move(part));
  }
  return saved;
}

void BatchWindow::forget_retired() {
  uint64_t oldest = offer_count_;  // among those not granted yet
  for (const auto& [sequence, entry] : entries_) {
    if (entry.state == State::offered || entry.state == State::looked_up)
      oldest = std::min(oldest, entry.offered_as);
  }
  while (!retired_.empty() && retired_.front().offer_count <= oldest) {
    for (const ChunkId& id : retired_.front().ids) provider_of_.erase(id);
    retired_.pop_front();
  }
}

}  // namespace images
