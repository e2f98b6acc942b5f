// A confined command's view of the file system. To be called by the first process of new mount and
// process namespaces; failures end it (options.h).
#pragma once

#include <string>

namespace base::sandbox {

// A folder as a mount that can be placed into another namespace; -1 for an empty path.
int take_folder(const std::string& path);

// Makes all file systems read-only, with a /proc of this process namespace, an empty /tmp and /run,
// a /dev of five devices, and `folder`, unless it is -1, as kConfinedPlace. `writable_path`, unless
// it is empty, is a mount point that stays as it is.
void arrange_files(int folder, const std::string& writable_path);

}  // namespace base::sandbox
