// Decodes any bytes as a sequence of transfer frames: what a hostile peer can send. Shared by the
// fuzzer and the unit tests.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace tests {

struct FrameStatistics {
  uint64_t decoded = 0;
  uint64_t refused = 0;
};

// Ends the program if a decoder throws anything but base::Error, or if what it accepts is encoded
// to a message it would not accept again.
void decode_frames(base::ByteView input, FrameStatistics& statistics);

}  // namespace tests
