// A disk as libext2fs wants it: its "I/O manager", which reads, and writes nothing. Functions; one
// thread at a time.
#pragma once

#include <ext2fs/ext2fs.h>

#include "images/disk_source.h"

namespace images::files {

// What the next ext2fs_open() of this thread opens, whatever name it is given. The disk must outlive
// the file system.
void set_ext_disk(DiskSource& disk);
io_manager ext_disk_manager();

}  // namespace images::files
