// Carries out one order to restore to this host: what it may write is determined, the targets are
// opened, the point is read from the appliance with the order's ticket, the disks are made equal, and
// the machine is defined and started if that was ordered. One thread per call.
//
// Interrupted (by a signal, a kill, a lost connection), it may be called again with the same order:
// unfinished files are continued, and what was written compares as equal.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/homeward/restore_order.h"

namespace agent::homeward {

// Bytes of all disks together.
struct RestoreFigures {
  uint64_t total = 0;
  uint64_t compared = 0;   // with the point
  uint64_t differing = 0;  // of these
  uint64_t written = 0;    // of these; includes zeros
  uint64_t verified = 0;   // read back
};

// What became of a start that a failback ordered.
enum class HomeStart : uint64_t {
  none = 0,
  runs = 1,
  ran = 2,     // it was started, and is off now
  voided = 3,  // it never was and never will be started for that number
};

struct RestoreStanding {
  std::string doing;  // a few words
  HomeStart home_start = HomeStart::none;
  RestoreFigures figures;
  uint64_t received = 0;  // bytes over the network
  uint64_t duration_ms = 0;
  std::vector<std::string> notes;  // what was changed, and what a person should know
};

// `work_directory` belongs to this call alone. Returns the final standing. Throws what stands in the
// way, with what to do; everything that was done until then stays, and is told by `on_standing`, which
// is called a few times a second by any thread, one at a time.
RestoreStanding restore_to_host(const RestoreOrder& order, const Config& config,
                                const std::string& work_directory,
                                const std::function<void(const RestoreStanding&)>& on_standing,
                                std::stop_token stop);

}  // namespace agent::homeward
