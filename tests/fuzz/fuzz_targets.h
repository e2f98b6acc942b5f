// Every decoder of bytes that lie in a store, and of the headers of image files, as something a
// fuzzer can call. A target may throw base::Error and nothing else, and may not read outside of
// what it is given. Functions; thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images {

struct FuzzTarget {
  std::string name;
  std::function<void(base::ByteView)> run;
  std::vector<base::Bytes> samples;  // what a fuzzer begins with: whole records
};

// Where a record ends with a checksum, the target also decodes the bytes with the right one put in,
// so that a fuzzer gets past it.
std::vector<FuzzTarget> fuzz_targets();

}  // namespace images
