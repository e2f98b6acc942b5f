// Makes a point of an instant VM a point of its machine: with the disks' own names, with the
// machine's definition instead of the appliance's translation of it, and with a note about its
// origin. As thread-safe as the sink below it.
#pragma once

#include <memory>
#include <optional>

#include "appliance/ingest/timelines.h"
#include "images/point.h"
#include "images/point_sink.h"

namespace appliance::ingest {

// The plan, with the disk names used in the machine's points.
images::SyncPlan with_machine_names(const images::SyncPlan& plan, const TimelineHolder& holder);

// `known` has the machine's definition: the point the VM was booted from or, if that was deleted
// (the VM may be on local storage by then), the machine's newest. None: the definition stays as it
// was captured. The running VM's own UEFI variables and TPM are kept in any case.
std::unique_ptr<images::StoreSink> instant_sink(std::unique_ptr<images::StoreSink> below,
                                                const TimelineHolder& holder,
                                                const std::optional<images::Point>& known);

}  // namespace appliance::ingest
