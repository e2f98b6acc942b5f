#include "tests/appliance/boot/windows/hives.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "appliance/boot/windows/hive_log.h"
#include "appliance/boot/windows/hivex_handles.h"
#include "base/scratch_directory.h"
#include "base/text.h"

namespace appliance::boot::windows {
namespace {

constexpr size_t kPage = 4096, kRoot = 32;

void put(base::Bytes& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

// A root key without values, and free space.
base::Bytes empty_hive() {
  base::Bytes bytes(2 * kPage);
  std::memcpy(bytes.data(), "regf", 4);
  for (auto [at, value] :
       {std::pair{4, 1u}, {8, 1u}, {20, 1u}, {24, 3u}, {32, 1u}, {36, 32u}, {40, 4096u}, {44, 1u}})
    put(bytes, static_cast<size_t>(at), value);
  uint8_t* bin = bytes.data() + kPage;
  std::memcpy(bin, "hbin", 4);
  put(bytes, kPage + 8, kPage);
  size_t key = kPage + kRoot;
  constexpr int32_t kKeySize = 88, kSecuritySize = 48;
  put(bytes, key, static_cast<uint32_t>(-kKeySize));
  std::memcpy(bytes.data() + key + 4, "nk", 2);
  bytes[key + 6] = 0x2c;
  for (size_t at : {32, 36, 44, 52}) put(bytes, key + at, 0xffff'ffff);
  put(bytes, key + 48, kRoot + kKeySize);
  bytes[key + 76] = 4;
  std::memcpy(bytes.data() + key + 80, "ROOT", 4);
  size_t security = key + kKeySize;
  put(bytes, security, static_cast<uint32_t>(-kSecuritySize));
  std::memcpy(bytes.data() + security + 4, "sk", 2);
  put(bytes, security + 8, kRoot + kKeySize);
  put(bytes, security + 12, kRoot + kKeySize);
  put(bytes, security + 16, 1);
  put(bytes, security + 20, 20);
  bytes[security + 24] = 1;
  bytes[security + 27] = 0x80;
  size_t used = kRoot + kKeySize + kSecuritySize;
  put(bytes, kPage + used, static_cast<uint32_t>(kPage - used));
  put(bytes, 508, base_block_checksum(bytes));
  return bytes;
}

}  // namespace

base::Bytes number_bytes(uint32_t value) {
  base::ByteWriter bytes;
  bytes.u32(value);
  return bytes.take();
}

base::Bytes utf16(const std::string& text) {
  base::Bytes bytes;
  for (char each : text + '\0') {
    bytes.push_back(static_cast<uint8_t>(each));
    bytes.push_back(0);
  }
  return bytes;
}

base::Bytes make_hive(const std::vector<TestValue>& values) {
  base::ScratchDirectory scratch("/tmp", "hives");
  std::string path = scratch.path() + "/hive";
  base::Bytes start = empty_hive();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(start.data()),
             static_cast<std::streamsize>(start.size()));
  Hive hive(hivex_open(path.c_str(), HIVEX_OPEN_WRITE));
  for (const TestValue& each : values) {
    hive_node_h node = hivex_root(hive.get());
    for (const std::string& name : base::split(each.key, '\\')) {
      hive_node_h next = hivex_node_get_child(hive.get(), node, name.c_str());
      node = next != 0 ? next : hivex_node_add_child(hive.get(), node, name.c_str());
    }
    std::string name = each.name;
    base::Bytes bytes = each.bytes;
    hive_set_value value{name.data(), static_cast<hive_type>(each.type), bytes.size(),
                         reinterpret_cast<char*>(bytes.data())};
    hivex_node_set_value(hive.get(), node, &value, 0);
  }
  hivex_commit(hive.get(), nullptr, 0);
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace appliance::boot::windows
