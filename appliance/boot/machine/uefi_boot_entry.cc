#include "appliance/boot/machine/uefi_boot_entry.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace appliance::boot {
namespace {

using Guid = std::array<uint8_t, 16>;
// AAF32C78-947B-439A-A180-2E144EC37792: variables with authentication
constexpr Guid kAuthenticatedStore{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43,
                                   0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92};
// 8BE4DF61-93CA-11D2-AA0D-00E098032B8C: the variables of the specification
constexpr Guid kGlobal{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                       0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
constexpr uint16_t kVariableStart = 0x55aa;
constexpr size_t kVolumeHeaderSizeAt = 48;  // u16 in the firmware volume's header
constexpr size_t kStoreHeaderSize = 28, kVariableHeaderSize = 60;
constexpr uint8_t kFormatted = 0x5a, kHealthy = 0xfe, kAdded = 0x3f;
constexpr uint32_t kKeptAndVisible = 7;  // non-volatile, boot and runtime access

void put(base::Bytes& out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void put_text(base::Bytes& out, std::string_view text) {
  for (char c : text) put(out, static_cast<unsigned char>(c), 2);
  put(out, 0, 2);
}

// EFI_LOAD_OPTION.
base::Bytes load_option(const UefiBootEntry& entry) {
  base::Bytes path;
  put(path, 0x0104, 2);  // media, hard drive
  put(path, 42, 2);
  put(path, entry.partition_number, 4);
  put(path, entry.partition_start, 8);
  put(path, entry.partition_size, 8);
  path.insert(path.end(), entry.partition_id.begin(), entry.partition_id.end());
  put(path, 2, 1);       // a GUID partition table
  put(path, 2, 1);       // the signature is a GUID
  put(path, 0x0404, 2);  // media, file path
  put(path, 4 + 2 * (entry.loader.size() + 1), 2);
  put_text(path, entry.loader);
  put(path, 0xff7f, 2);  // the end
  put(path, 4, 2);
  base::Bytes option;
  put(option, 1, 4);  // active
  put(option, path.size(), 2);
  put_text(option, entry.description);
  option.insert(option.end(), path.begin(), path.end());
  return option;
}

base::Bytes variable(std::string_view name, const base::Bytes& content) {
  base::Bytes out;
  put(out, kVariableStart, 2);
  put(out, kAdded, 1);
  put(out, 0, 1);
  put(out, kKeptAndVisible, 4);
  put(out, 0, 8);   // monotonic count
  put(out, 0, 16);  // time
  put(out, 0, 4);   // public key
  put(out, 2 * (name.size() + 1), 4);
  put(out, content.size(), 4);
  out.insert(out.end(), kGlobal.begin(), kGlobal.end());
  put_text(out, name);
  out.insert(out.end(), content.begin(), content.end());
  while (out.size() % 4 != 0) out.push_back(0xff);
  return out;
}

[[noreturn]] void refuse(const std::string& why) {
  throw base::Error(base::ErrorCode::unsupported,
                    "the UEFI variables cannot get a boot entry: " + why);
}

// Where the variables begin and end; checks the headers.
std::pair<size_t, size_t> store_of(const base::Bytes& chip) {
  if (chip.size() < kVolumeHeaderSizeAt + 2) refuse("they are too small");
  size_t header = chip[kVolumeHeaderSizeAt] | chip[kVolumeHeaderSizeAt + 1] << 8;
  if (chip.size() < header + kStoreHeaderSize) refuse("they are too small");
  const uint8_t* store = chip.data() + header;
  bool is_known = std::equal(kAuthenticatedStore.begin(), kAuthenticatedStore.end(), store) &&
                  store[20] == kFormatted && store[21] == kHealthy;
  size_t size = base::load_u32(store + 16);
  if (!is_known || size < kStoreHeaderSize || size > chip.size() - header)
    refuse("their layout is unknown");
  return {header + kStoreHeaderSize, header + size};
}

}  // namespace

base::Bytes with_boot_entry(base::Bytes chip, const UefiBootEntry& entry) {
  auto [at, end] = store_of(chip);
  while (at + kVariableHeaderSize <= end && chip[at] == 0xaa && chip[at + 1] == 0x55) {
    size_t name = base::load_u32(chip.data() + at + 36),
           content = base::load_u32(chip.data() + at + 40);
    if (name > end - at || content > end - at) refuse("they contradict themselves");
    at += (kVariableHeaderSize + name + content + 3) / 4 * 4;
  }
  base::Bytes added = variable("Boot0000", load_option(entry));
  base::Bytes order = variable("BootOrder", {0, 0});
  added.insert(added.end(), order.begin(), order.end());
  if (at > end || added.size() > end - at) refuse("there is no room");
  auto place = chip.begin() + static_cast<ptrdiff_t>(at);
  // Flash memory that was never written is all ones.
  bool is_free = std::all_of(place, place + static_cast<ptrdiff_t>(added.size()),
                             [](uint8_t byte) { return byte == 0xff; });
  if (!is_free) refuse("the place after the last variable is used");
  std::copy(added.begin(), added.end(), place);
  return chip;
}

}  // namespace appliance::boot
