#include "appliance/boot/windows/hivex_handles.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace appliance::boot::windows {

using base::Error;
using base::ErrorCode;

Hive open_hive(base::ByteView bytes, const std::string& path, const std::string& what) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw Error(ErrorCode::io, fmt::format("{} cannot be copied to {}", what, path));
  errno = 0;
  Hive hive(hivex_open(path.c_str(), 0));
  if (!hive) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is damaged: it cannot be opened ({})", what,
                            errno != 0 ? std::strerror(errno) : "no reason given"));
  }
  return hive;
}

hive_node_h child(hive_h* hive, hive_node_h node, const char* name) {
  return node == 0 ? 0 : hivex_node_get_child(hive, node, name);
}

hive_node_h find_key(hive_h* hive, hive_node_h node, const std::vector<std::string>& names) {
  for (const std::string& name : names) node = child(hive, node, name.c_str());
  return node;
}

std::optional<HiveValue> find_value(hive_h* hive, hive_node_h node, const char* name,
                                    size_t limit) {
  HiveValue found;
  found.handle = node == 0 ? 0 : hivex_node_get_value(hive, node, name);
  size_t size = 0;
  if (found.handle == 0 || hivex_value_type(hive, found.handle, &found.type, &size) != 0) return {};
  if (size > limit) return {};
  Allocated<char> data(hivex_value_value(hive, found.handle, &found.type, &size));
  if (!data || size > limit) return {};
  found.bytes.assign(data.get(), data.get() + size);
  return found;
}

}  // namespace appliance::boot::windows
