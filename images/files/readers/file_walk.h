// Answers about the files of one file system, as messages (files_format.h). Bounded in memory: a walk
// keeps one page of each folder that it is in. A folder that is met within itself, or a second time
// (both only in damaged file systems), is named and not entered again. Not thread-safe.
#pragma once

#include "images/files/files_format.h"
#include "images/files/readers/disk_link.h"
#include "images/files/readers/file_system_reader.h"

namespace images::files {

// Each sends the parts of its answer, and returns its end. They throw what becomes a bad end:
// not_found, invalid_argument, and what the reader throws.
End answer_list(FileSystemReader& files, const PathRequest& request, Link& link);
End answer_look(FileSystemReader& files, const PathRequest& request, Link& link);
End answer_read(FileSystemReader& files, const PathRequest& request, Link& link);
End answer_walk(FileSystemReader& files, const WalkRequest& request, Link& link);

}  // namespace images::files
