// The members of a tar archive that is read where it lies: nothing is extracted. Names, sizes and
// kinds are a stranger's. Formats: POSIX ustar and pax, GNU's long names and sizes. Functions of
// the file's content; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/sources/image_headers.h"

namespace images {

struct TarMember {
  std::string name;     // relative, without "." and ".."
  uint64_t offset = 0;  // of its content in the archive, bytes
  uint64_t size = 0;
};

constexpr size_t kMaxTarMembers = 4096;

// Its files, in order; folders are left out. Throws corrupt for what is not a tar archive, is
// damaged or cut off, and for a name twice; invalid_argument for names that lead out of a folder,
// for links, devices and the like, and for more members than an export can have. `path` is for
// messages.
std::vector<TarMember> list_tar(const FilePart& part, const std::string& path);

}  // namespace images
