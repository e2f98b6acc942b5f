// Whether XFS's log holds something that a mount would replay. Hostile input; function.
#pragma once

#include <string>

#include "images/disk_source.h"
#include "images/files/readers/xfs_format.h"

namespace images::files::xfs {

// A sentence about what may be missing; empty if the log holds nothing.
std::string log_note(DiskSource& disk, const Superblock& super);

}  // namespace images::files::xfs
