// Owners of what libhivex allocates, and reading with bounds. Only for muletto-windows. Not
// thread-safe.
#pragma once

#include <hivex.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace appliance::boot::windows {

struct HiveCloser {
  void operator()(hive_h* hive) const { hivex_close(hive); }
};
using Hive = std::unique_ptr<hive_h, HiveCloser>;
struct Freer {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename Type>
using Allocated = std::unique_ptr<Type, Freer>;

// Writes the bytes to `path` and opens them for reading. `what` is for the message: "the registry's
// SYSTEM hive". Throws corrupt if it is not a hive.
Hive open_hive(base::ByteView bytes, const std::string& path, const std::string& what);

// 0 if there is none, or if `node` is 0.
hive_node_h child(hive_h* hive, hive_node_h node, const char* name);
hive_node_h find_key(hive_h* hive, hive_node_h node, const std::vector<std::string>& names);
// A value's type and bytes; none if there is no such value or it is longer than `limit`.
struct HiveValue {
  hive_value_h handle = 0;
  hive_type type{};
  base::Bytes bytes;
};
std::optional<HiveValue> find_value(hive_h* hive, hive_node_h node, const char* name, size_t limit);

}  // namespace appliance::boot::windows
