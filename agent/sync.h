// One sync: a capture copied to a target, and made a point.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "agent/capture.h"
#include "agent/target.h"
#include "images/sync_engine.h"

namespace agent {

struct SyncOptions {
  uint32_t thread_count = 2;
  int compression_level = 1;
  std::function<void(const images::CopyProgress&)> on_progress;  // may be empty
  std::stop_token stop;
  std::function<void(uint64_t)> throttle;  // images/sync_engine.h; may be empty
  // How long a target that went away during the copy is waited for, and between attempts.
  std::chrono::milliseconds patience = std::chrono::minutes(10);
  std::chrono::milliseconds longest_pause = std::chrono::seconds(3);
};

struct SyncResult {
  images::PointId point;
  images::PointDetails
      details;  // figures filled in, also bytes_sent and bytes_stored as the sink told them
};

// Copies and commits. `last` is the target's newest point of the machine, as the capture was made
// with it. A target that goes away during the copy (an appliance that restarts, a cut network) is
// waited for, while the capture is held and its guest runs on; then everything is offered again,
// and what arrived is not sent again. Throws what the capture, the target or the copy throws;
// nothing is visible at the target then.
SyncResult run_sync(const std::string& machine_name, Capture& capture,
                    const std::optional<LastPoint>& last, Target& target,
                    const SyncOptions& options);

}  // namespace agent
