// The content of an agent's poll (docs/protocol.md, "Orders"). The agent may be hostile: only known
// fields are read, each within its own limit. Pure.
#pragma once

#include <string_view>

#include "appliance/failback/keep_off.h"
#include "appliance/homeward/host_restores.h"
#include "appliance/schedule/scheduler.h"

namespace appliance::api {

constexpr size_t kMaxPollSize = 512 * 1024;  // bytes
constexpr size_t kMaxReportedMachines = 2000;
constexpr size_t kMaxReportedWord = 128;      // bytes, of a kind or version
constexpr size_t kMaxReportedSentence = 500;  // bytes
constexpr size_t kMaxPolledOrders = 256;      // of outcomes, and of running syncs

// The report in the result is rebuilt from its known fields; it is JSON, and at most about 1 MiB.
// Machines beyond kMaxReportedMachines, and those with an invalid name, are left out and counted in
// Poll::left_out. Throws invalid_argument for what is not JSON, too deep, or of a wrong type.
schedule::Poll read_poll(std::string_view body);
// What it says of restores; as read_poll().
std::vector<homeward::RestoreReport> read_restores(std::string_view body);

// What it says of machines that it keeps off; as read_poll().
std::vector<failback::KeptOffReport> read_kept_off(std::string_view body);

}  // namespace appliance::api
