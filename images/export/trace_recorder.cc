#include "images/export/trace_recorder.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/log.h"
#include "base/text.h"

namespace images {

std::string trace_end_path(const std::string& path) { return path + ".end"; }

TraceRecorder::TraceRecorder(base::FileSystem& files, std::string path, uint32_t chunk_size,
                             std::vector<std::string> disks, const TraceLimits& limits)
    : files_(files), path_(std::move(path)), limits_(limits) {
  {
    auto state = state_.lock();
    state->touched.resize(disks.size());
    state->trace.chunk_size = chunk_size;
    state->trace.disks = std::move(disks);
  }
  thread_ = std::thread([this] { base::run_guarded("the trace recorder", [this] { watch(); }); });
}

TraceRecorder::~TraceRecorder() { finish(); }

void TraceRecorder::record(uint16_t disk, uint64_t offset, uint64_t length) {
  if (length == 0) return;
  auto now = Clock::now();
  auto state = state_.lock();
  BootTrace& trace = state->trace;
  if (state->is_over) return;
  if (trace.entries.empty()) state->first_touch = now;
  uint64_t last = (offset + length - 1) / trace.chunk_size;
  for (uint64_t chunk = offset / trace.chunk_size; chunk <= last; ++chunk) {
    if (!state->touched[disk].insert(chunk).second) continue;
    auto time = std::chrono::duration_cast<std::chrono::milliseconds>(now - state->first_touch);
    trace.entries.push_back({disk, chunk, static_cast<uint32_t>(time.count())});
    state->last_new_touch = now;
    if (trace.entries.size() < limits_.entry_count) continue;
    state->is_over = true;
    changed_.notify_all();
    return;
  }
}

bool TraceRecorder::is_past_limits(const State& state) const {
  if (state.trace.entries.empty()) return false;
  auto now = Clock::now();
  return now - state.first_touch > limits_.duration || now - state.last_new_touch > limits_.quiet;
}

// The thread's work: waits for the end, then writes.
void TraceRecorder::watch() {
  BootTrace trace;
  while (recording_) {
    bool told = files_.exists(trace_end_path(path_));
    auto state = state_.lock();
    if (told || is_past_limits(*state)) state->is_over = true;
    if (!state.wait_for(changed_, limits_.look_every, [&] { return state->is_over; })) continue;
    recording_ = false;
    trace = std::move(state->trace);
    trace.guest_was_up = told;
    state->touched.clear();
  }
  if (trace.entries.empty()) return;
  trace.recorded_ms = base::now_ms();
  try {
    base::write_file_durably(files_, path_, format::encode_trace(trace));
  } catch (const std::exception& error) {
    base::log().debug("no boot trace: {}", error.what());
  }
}

void TraceRecorder::finish() {
  state_.lock()->is_over = true;
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace images
