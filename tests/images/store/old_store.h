// Stores of older format versions, kept as text: "file PATH", then the file's bytes in hexadecimal.
// And the encoder of manifests of version 1, which no program writes any more.
#pragma once

#include <string>

#include "base/file_system.h"

namespace images {

// Writes the files of tests/images/store/NAME below `directory`, which it makes.
void unpack_old_store(base::FileSystem& files, const std::string& name,
                      const std::string& directory);

// A manifest without a sealed part as version 1 had it: with one time, the host's.
base::Bytes manifest_of_version_1(base::ByteView manifest, uint64_t time_ms);

}  // namespace images
