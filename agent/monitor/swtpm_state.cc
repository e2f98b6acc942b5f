#include "agent/monitor/swtpm_state.h"

#include <fmt/format.h>

#include <fstream>

#include "base/error.h"

namespace agent::monitor {
namespace {

constexpr uint64_t kMagic = 0x737774706d6c696e;  // "swtpmlin"
constexpr size_t kMaxStore = 4u << 20;           // bytes
constexpr size_t kHeaderSize = 8 + 1 + 1 + 2;    // magic, version, padding, size of the header
constexpr size_t kEntrySize = 3 * 4;             // offset, length of the data, of the section
constexpr int kReads = 20;

uint64_t number(base::ByteView bytes, size_t offset, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

[[noreturn]] void refuse(const char* why) { throw base::Error(base::ErrorCode::corrupt, why); }

base::Bytes read_beginning(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw base::Error(base::ErrorCode::not_found, fmt::format("{} cannot be opened", path));
  base::Bytes bytes(kMaxStore);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

}  // namespace

base::Bytes permanent_state(base::ByteView store) {
  if (store.size() < kHeaderSize + kEntrySize || number(store, 0, 8) != kMagic)
    refuse("it is not the store of an emulated TPM");
  if (number(store, 8, 1) != 1) refuse("it is a TPM's store of a version that is not known");
  uint64_t header = number(store, 10, 2);
  uint64_t offset = number(store, kHeaderSize, 4), length = number(store, kHeaderSize + 4, 4);
  // The first entry is the permanent state of the first TPM.
  if (offset < header || length == 0) refuse("the TPM has no permanent state yet");
  if (offset > store.size() || length > store.size() - offset)
    refuse("the TPM's store ends before its state");
  base::ByteView state = store.subspan(offset, length);
  return {state.begin(), state.end()};
}

base::Bytes read_permanent_state(const std::string& path) {
  base::Bytes last = read_beginning(path);
  for (int i = 0; i < kReads; ++i) {
    base::Bytes again = read_beginning(path);
    if (again == last) return permanent_state(again);
    last = std::move(again);
  }
  throw base::Error(base::ErrorCode::busy, path + " changes all the time");
}

}  // namespace agent::monitor
