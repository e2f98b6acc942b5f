// Registry hives for tests, made by libhivex. Functions; not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace appliance::boot::windows {

// A value below a key: the key's path with backslashes, the value's name, type and bytes.
struct TestValue {
  std::string key, name;
  int type = 4;
  base::Bytes bytes;
};

base::Bytes number_bytes(uint32_t value);
base::Bytes utf16(const std::string& text);  // with its final 0
// A clean hive with these values.
base::Bytes make_hive(const std::vector<TestValue>& values);

}  // namespace appliance::boot::windows
