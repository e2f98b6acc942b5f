// The orders that a failback gives to the agent at home (docs/protocol.md, "Orders"). Pure.
#pragma once

#include <string_view>

#include "appliance/catalog/failback_records.h"
#include "appliance/homeward/host_restores.h"

namespace appliance::failback {

enum class HomeStep { survey, copy, last, start, never_start };

// For `point`; what differs from what home holds already is told apart by the row.
homeward::HostRestore home_order(const catalog::Failback& failback, HomeStep step,
                                 const images::PointId& point);

// What home answered to start or never_start, in the figures of the order's job.
enum class HomeAnswer : uint64_t { none = 0, runs = 1, ran = 2, voided = 3 };
HomeAnswer home_answer(const catalog::Job& job);

// A figure of the job; 0 if it has none.
uint64_t figure_of(const catalog::Job& job, const char* name);

}  // namespace appliance::failback
