// One sync: a capture is copied to a target, and becomes a point.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "agent/capture.h"
#include "agent/target.h"
#include "images/sync/sync_engine.h"

namespace agent {

struct SyncOptions {
  uint32_t thread_count = 2;
  int compression_level = 1;
  std::function<void(const images::CopyProgress&)> on_progress;  // may be empty
  std::stop_token stop;
  std::function<void(uint64_t)> throttle;  // images/sync/sync_engine.h; may be empty
  // How long to wait for a target that became unavailable during the copy, and between attempts.
  std::chrono::milliseconds patience = std::chrono::minutes(10);
  std::chrono::milliseconds longest_pause = std::chrono::seconds(3);
};

struct SyncResult {
  images::PointId point;
  // With figures, including bytes_sent and bytes_stored as reported by the sink.
  images::PointDetails details;
};

// Copies and commits. `last` is the target's newest point of the machine, as the capture was made
// with it. If the target becomes unavailable during the copy (an appliance that restarts, a broken
// network), it is waited for while the capture is held and its guest continues to run. Then
// everything is offered again, and what arrived is not sent again. Throws what the capture, the
// target or the copy throws; nothing is visible at the target then.
SyncResult run_sync(const std::string& machine_name, Capture& capture,
                    const std::optional<BasePoint>& last, Target& target,
                    const SyncOptions& options);

}  // namespace agent
