// Extended attributes of XFS. Hostile input; functions.
#pragma once

#include <vector>

#include "images/files/readers/file_runs.h"
#include "images/files/readers/xfs_format.h"

namespace images::files::xfs {

// Those in the inode.
std::vector<ExtendedAttribute> local_attributes(const base::Bytes& fork);
// Those in blocks, of the fork's content.
std::vector<ExtendedAttribute> block_attributes(FileRuns& fork, const Superblock& super);

}  // namespace images::files::xfs
