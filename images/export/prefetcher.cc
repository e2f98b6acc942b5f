#include "images/export/prefetcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/guarded_thread.h"

namespace images {

Prefetcher::Prefetcher(const BootTrace& trace, std::vector<std::shared_ptr<DiskReader>> disks,
                       const PrefetchLimits& limits)
    : chunk_size_(trace.chunk_size), limits_(limits), disks_(std::move(disks)),
      place_of_(disks_.size()) {
  std::vector<size_t> number_of(trace.disks.size(), disks_.size());
  for (size_t i = 0; i < trace.disks.size(); ++i) {
    for (size_t number = 0; number < disks_.size(); ++number) {
      if (disks_[number]->disk().name == trace.disks[i]) number_of[i] = number;
    }
  }
  for (const TraceEntry& entry : trace.entries) {
    size_t disk = number_of[entry.disk];
    if (disk == disks_.size() || entry.chunk * chunk_size_ >= disks_[disk]->size()) continue;
    if (!place_of_[disk].try_emplace(entry.chunk, places_.size()).second) continue;
    places_.push_back({static_cast<uint16_t>(disk), entry.chunk});
  }
  for (uint32_t i = 0; i < limits_.thread_count; ++i)
    threads_.emplace_back([this] { base::run_guarded("prefetching", [this] { run(); }); });
}

Prefetcher::~Prefetcher() {
  state_.lock()->stopping = true;
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prefetcher::touch(uint16_t disk, uint64_t offset, uint64_t length) {
  if (length == 0) return;
  size_t reach = 0;
  uint64_t last = (offset + length - 1) / chunk_size_;
  for (uint64_t chunk = offset / chunk_size_; chunk <= last; ++chunk) {
    auto found = place_of_[disk].find(chunk);
    if (found != place_of_[disk].end()) reach = std::max(reach, found->second + 1);
  }
  if (reach == 0) return;
  auto state = state_.lock();
  if (reach <= state->reach) return;
  state->reach = reach;
  // What the guest has passed no longer needs prefetching.
  state->next = std::max(state->next, std::min(reach, places_.size()));
  changed_.notify_all();
}

void Prefetcher::run() {
  while (true) {
    Place place;
    {
      auto state = state_.lock();
      state.wait(changed_, [&] {
        return state->stopping || state->next >= places_.size() ||
               state->next < state->reach + limits_.window_chunks;
      });
      if (state->stopping || state->next >= places_.size()) return;
      place = places_[state->next++];
    }
    try {
      disks_[place.disk]->prefetch(place.chunk * chunk_size_);
    } catch (const std::exception&) {
      // If the guest reads there, it gets the error.
    }
  }
}

}  // namespace images
