// Looks into the Windows of a point before it starts: exports the point for a moment, and lets
// windows/windows_examination.h judge. A function; thread-safe.
#pragma once

#include "appliance/boot/boot_service.h"
#include "appliance/boot/windows/windows_examination.h"

namespace appliance::boot {

// Nothing is found for a point without an NTFS partition, or if its preparation is not wanted. Takes one or two seconds otherwise. Throws what the store throws, except corrupt: what
// cannot be read is not looked into.
WindowsFindings look_into_windows(const PointSource& source, const images::PointId& point,
                                  const BootOptions& options, const BootSettings& settings);

}  // namespace appliance::boot
