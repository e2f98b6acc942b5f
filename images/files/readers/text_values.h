// Values of file systems as text. Pure functions.
#pragma once

#include <string>

#include "base/bytes.h"

namespace images::files {

// "0a1b2c3d-…", as blkid prints it; `bytes` are 16, in order.
std::string uuid_text(base::ByteView bytes);

// UTF-8 of UTF-16 (little-endian). A surrogate without its partner becomes three bytes as if it were
// a character, which is not valid UTF-8 and so keeps what it was.
std::string utf8_of_utf16(base::ByteView bytes);

}  // namespace images::files
