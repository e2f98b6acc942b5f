// libFuzzer's entry: see tests/fuzz/CMakeLists.txt.
#include "tests/fuzz/transfer_frames.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tests::FrameStatistics statistics;
  tests::decode_frames({data, size}, statistics);
  return 0;
}
