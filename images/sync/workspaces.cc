#include "images/sync/workspaces.h"

#include <algorithm>
#include <thread>

namespace images {
namespace {

// Some wait for the store or the disk while the others compute.
constexpr uint32_t kWorkspacesPerProcessor = 3;
constexpr std::chrono::milliseconds kPatience{100};

}  // namespace

Workspace::Workspace(int compression_level, uint64_t size)
    : compression_level_(compression_level), size_(size), encoder_(compression_level),
      buffer_(std::make_unique_for_overwrite<uint8_t[]>(size)) {}

Workspaces& Workspaces::shared() {
  static Workspaces all(kWorkspacesPerProcessor * std::max(1u, std::thread::hardware_concurrency()),
                        kPatience);
  return all;
}

std::unique_ptr<Workspace> Workspaces::take(int compression_level, uint64_t size) {
  {
    auto state = state_.lock();
    uint64_t returned = state->returned_count;
    auto has_room = [&] { return state->in_use < state->limit; };
    while (!has_room()) {
      bool changed = state.wait_for(returned_, patience_, has_room);
      if (!changed && state->returned_count == returned) ++state->limit;
      returned = state->returned_count;
    }
    ++state->in_use;
    if (!state->free.empty()) {
      auto last = std::move(state->free.back());
      state->free.pop_back();
      if (last->fits(compression_level, size)) return last;
    }
  }
  try {
    return std::make_unique<Workspace>(compression_level, size);
  } catch (...) {
    give_back(nullptr);
    throw;
  }
}

void Workspaces::give_back(std::unique_ptr<Workspace> workspace) {
  {
    auto state = state_.lock();
    --state->in_use;
    ++state->returned_count;
    if (state->in_use < limit_) state->limit = limit_;
    if (workspace && state->free.size() < limit_) state->free.push_back(std::move(workspace));
  }
  returned_.notify_one();
}

}  // namespace images
