// Values of file systems as text and names. Pure functions.
#pragma once

#include <string>

#include "base/bytes.h"
#include "images/files/node.h"

namespace images::files {

// "0a1b2c3d-…", as blkid prints it; `bytes` are 16, in order.
std::string uuid_text(base::ByteView bytes);

// UTF-8 of UTF-16 (little-endian). A surrogate without its partner becomes three bytes as if it were
// a character, which is not valid UTF-8 and so keeps what it was.
std::string utf8_of_utf16(base::ByteView bytes);

// What a file is by its mode, as Unix file systems store it (S_IFREG and the others).
NodeKind kind_of_mode(uint32_t mode);

}  // namespace images::files
