// The data of a volume are encrypted with a key (FVEK), which is encrypted with a master key (VMK),
// which each protector (recovery key, password, TPM, …) has encrypted for itself. All that is in a
// metadata block, of which there are three copies among the data; they read as zeros. The first
// sectors of the file system lie elsewhere, because BitLocker's own header is in their place.
#include "images/volumes/keys/bitlocker.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>

#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"
#include "images/volumes/sector_cipher.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::string_view kSignature = "-FVE-FS-";
// 4967d63b-2e29-4ad8-8399-f6a339e3d001
constexpr std::array<uint8_t, 16> kId{0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
                                      0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
constexpr uint64_t kMetadataSize = 64 << 10;  // of each copy
constexpr size_t kHeaders = 112;              // before the entries
constexpr size_t kEntryHeader = 8, kNonce = 12, kTag = 16;
constexpr size_t kProtectorHeader = 28;
constexpr size_t kKeyHeader = 12;  // before a key that was decrypted
constexpr uint32_t kStretchCount = 1 << 20;
constexpr uint16_t kEncrypted = 4;  // the state
constexpr size_t kMaxEntries = 200;

enum EntryType : uint16_t {
  entry_property = 0,
  entry_protector = 2,
  entry_key = 3,
  entry_header = 15
};
enum ValueType : uint16_t { value_key = 1, value_stretch = 3, value_ccm = 5, value_place = 15 };
enum Protection : uint16_t { by_clear_key = 0, by_recovery_key = 0x800, by_password = 0x2000 };

[[noreturn]] void damaged(std::string_view problem) {
  throw Error(ErrorCode::corrupt, fmt::format("its header of BitLocker {}", problem));
}
[[noreturn]] void not_read(std::string problem) {
  throw Error(ErrorCode::unsupported, std::move(problem));
}

uint16_t load_u16(const uint8_t* from) { return static_cast<uint16_t>(from[0] | from[1] << 8); }

struct Entry {
  uint16_t type = 0, value = 0;
  base::ByteView data;
};

// Entries that follow one another. What is behind the last whole one is not looked at.
std::vector<Entry> entries_in(base::ByteView bytes) {
  std::vector<Entry> entries;
  while (bytes.size() >= kEntryHeader && entries.size() < kMaxEntries) {
    size_t size = load_u16(bytes.data());
    if (size < kEntryHeader || size > bytes.size()) break;
    entries.push_back({load_u16(&bytes[2]), load_u16(&bytes[4]),
                       bytes.subspan(kEntryHeader, size - kEntryHeader)});
    bytes = bytes.subspan(size);
  }
  return entries;
}

const Entry* find_value(const std::vector<Entry>& entries, uint16_t value) {
  for (const Entry& each : entries) {
    if (each.value == value) return &each;
  }
  return nullptr;
}

// AES-256-CCM: a nonce, a tag, the ciphertext. None if the key is wrong.
std::optional<base::Bytes> open_ccm(base::ByteView key, base::ByteView sealed) {
  if (sealed.size() <= kNonce + kTag || key.size() != 32) return std::nullopt;
  base::ByteView text = sealed.subspan(kNonce + kTag);
  std::array<uint8_t, kTag> tag;
  std::copy_n(sealed.begin() + kNonce, kTag, tag.begin());
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX* raw = context.get();
  base::Bytes plain(text.size());
  int length = 0;
  bool good =
      raw != nullptr &&
      EVP_DecryptInit_ex(raw, EVP_aes_256_ccm(), nullptr, nullptr, nullptr) == 1 &&
      EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(kNonce), nullptr) == 1 &&
      EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTag), tag.data()) == 1 &&
      EVP_DecryptInit_ex(raw, nullptr, nullptr, key.data(), sealed.data()) == 1 &&
      EVP_DecryptUpdate(raw, plain.data(), &length, text.data(), static_cast<int>(text.size())) ==
          1;
  if (!good) return std::nullopt;
  return plain;
}

// A million times SHA-256 over what came out before, the secret, the salt and a counter.
base::Bytes stretched(base::ByteView secret, base::ByteView salt) {
  std::array<uint8_t, 88> state{};
  std::copy(secret.begin(), secret.end(), state.begin() + 32);
  std::copy(salt.begin(), salt.end(), state.begin() + 64);
  for (uint32_t i = 0; i < kStretchCount; ++i) {
    base::store_u64(&state[80], i);
    base::Sha256 sum = base::sha256(state);
    std::copy(sum.begin(), sum.end(), state.begin());
  }
  return {state.begin(), state.begin() + 32};
}

base::Bytes bytes_of(const base::Sha256& sum) { return {sum.begin(), sum.end()}; }

// As Windows has it: UTF-16, hashed twice.
base::Bytes password_key_of(base::ByteView password) {
  base::Bytes wide;
  std::string_view text = base::as_text(password);
  for (size_t i = 0; i < text.size();) {
    auto byte = static_cast<uint8_t>(text[i]);
    size_t more = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    uint32_t code = more == 0 ? byte : byte & (0x3fu >> more);
    for (size_t k = 1; k <= more && i + k < text.size(); ++k)
      code = code << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3f);
    i += more + 1;
    auto put = [&](uint32_t unit) {
      wide.push_back(static_cast<uint8_t>(unit));
      wide.push_back(static_cast<uint8_t>(unit >> 8));
    };
    if (code < 0x10000) {
      put(code);
    } else {
      put(0xd800 + ((code - 0x10000) >> 10 & 0x3ff));
      put(0xdc00 + (code & 0x3ff));
    }
  }
  return bytes_of(base::sha256(base::sha256(wide)));
}

struct Metadata {
  base::Bytes bytes;  // of the copy; the entries point into it
  std::vector<Entry> entries;
  std::array<uint64_t, 3> copies{};
  uint32_t method = 0;
};

Metadata read_metadata(const LayeredDisks& disks, const Block& block, base::ByteView header) {
  for (size_t i = 0; i < 3; ++i) {
    Metadata found;
    found.bytes = disks.read(block.source, base::load_u64(&header[176 + 8 * i]), kMetadataSize);
    if (found.bytes.empty() || base::as_text(found.bytes).substr(0, 8) != kSignature) continue;
    const uint8_t* bytes = found.bytes.data();
    if (load_u16(bytes + 10) != 2) not_read("it is BitLocker of Windows Vista, which is not read");
    if (load_u16(bytes + 12) != kEncrypted || load_u16(bytes + 14) != kEncrypted)
      not_read("BitLocker was encrypting or decrypting it, which is not read");
    uint64_t size = base::load_u32(bytes + 64);
    if (size < kHeaders - 64 || size > kMetadataSize - 64) continue;
    for (size_t k = 0; k < 3; ++k) found.copies[k] = base::load_u64(bytes + 32 + 8 * k);
    found.method = base::load_u32(bytes + 64 + 36) & 0xffff;
    found.entries =
        entries_in(base::ByteView(found.bytes).subspan(kHeaders, size - (kHeaders - 64)));
    return found;
  }
  damaged("is damaged in all copies");
}

// The master key, if this protector can be opened with what is given.
std::optional<base::Bytes> master_key_in(const Entry& protector,
                                         const std::vector<VolumeKey>& keys) {
  if (protector.data.size() < kProtectorHeader) return std::nullopt;
  uint16_t protection = load_u16(&protector.data[26]);
  std::vector<Entry> parts = entries_in(protector.data.subspan(kProtectorHeader));
  const Entry *sealed = find_value(parts, value_ccm), *stretch = find_value(parts, value_stretch),
              *clear = find_value(parts, value_key);
  if (sealed == nullptr) return std::nullopt;
  auto opened = [&](base::ByteView key) -> std::optional<base::Bytes> {
    auto plain = open_ccm(key, sealed->data);
    if (!plain || plain->size() < kKeyHeader + 32) return std::nullopt;
    return base::Bytes(plain->begin() + kKeyHeader, plain->begin() + kKeyHeader + 32);
  };
  if (protection == by_clear_key)
    return clear != nullptr && clear->data.size() >= 36 ? opened(clear->data.subspan(4, 32))
                                                        : std::nullopt;
  bool is_stretched = protection == by_recovery_key || protection == by_password;
  if (!is_stretched || stretch == nullptr || stretch->data.size() < 20) return std::nullopt;
  for (const VolumeKey& each : keys) {
    base::Bytes secret = protection == by_recovery_key ? recovery_key_of(base::as_text(each.secret))
                                                       : password_key_of(each.secret);
    if (secret.empty()) continue;
    if (auto key = opened(stretched(secret, stretch->data.subspan(4, 16)))) return key;
  }
  return std::nullopt;
}

Cipher cipher_of(uint32_t method, uint32_t sector_size) {
  Cipher cipher;
  cipher.sector_size = cipher.iv_unit = sector_size;
  switch (method) {
    case 0x8002: cipher.key.resize(16); break;
    case 0x8003: cipher.key.resize(32); break;
    case 0x8004: cipher.key.resize(32); return cipher;
    case 0x8005: cipher.key.resize(64); return cipher;
    case 0x8000:
    case 0x8001: not_read("it is BitLocker with the diffuser of Windows 7, which is not read");
    default: not_read("it is BitLocker with a cipher that is not read");
  }
  cipher.mode = CipherMode::cbc;
  cipher.iv = SectorIv::eboiv;
  return cipher;
}

// The volume as its file system sees it: its first sectors from where they lie, zeros in place of
// what is BitLocker's, everything else at its own place.
Source arranged(LayeredDisks& disks, Source decrypted, const Metadata& metadata) {
  uint64_t size = disks.size_of(decrypted), header_at = 0, header_size = 0;
  for (const Entry& each : metadata.entries) {
    if (each.type != entry_header || each.value != value_place || each.data.size() < 16) continue;
    header_at = base::load_u64(each.data.data());
    header_size = base::load_u64(&each.data[8]);
  }
  if (header_size == 0 || header_size > size || header_at < header_size ||
      header_at > size - header_size)
    damaged("does not say where the file system begins");
  std::map<uint64_t, uint64_t> zeros{{header_at, header_size}};
  for (uint64_t copy : metadata.copies) zeros.emplace(copy, kMetadataSize);
  std::vector<Segment> segments{{.length = header_size, .places = {{decrypted, header_at}}}};
  uint64_t at = header_size;
  for (auto [begin, length] : zeros) {
    if (begin < at || begin > size || length > size - begin)
      damaged("has metadata that overlap or lie beyond the volume");
    if (begin > at) segments.push_back({.length = begin - at, .places = {{decrypted, at}}});
    segments.push_back({.kind = SegmentKind::zero, .length = length});
    at = begin + length;
  }
  if (at < size) segments.push_back({.length = size - at, .places = {{decrypted, at}}});
  return disks.add(std::move(segments));
}

}  // namespace

base::Bytes recovery_key_of(std::string_view digits) {
  base::Bytes key;
  std::vector<std::string> groups = base::split(base::trim(std::string(digits)), '-');
  if (groups.size() != 8) return {};
  for (const std::string& group : groups) {
    uint32_t number = 0;
    auto result = std::from_chars(group.data(), group.data() + group.size(), number);
    if (group.size() != 6 || result.ec != std::errc() ||
        result.ptr != group.data() + group.size() || number % 11 != 0 || number / 11 > 0xffff)
      return {};
    key.push_back(static_cast<uint8_t>(number / 11));
    key.push_back(static_cast<uint8_t>(number / 11 >> 8));
  }
  return bytes_of(base::sha256(key));
}

bool is_bitlocker(const LayeredDisks& disks, const Block& block) {
  base::Bytes start = disks.read(block.source, 0, kSector);
  return !start.empty() && base::as_text(start).substr(3, 8) == kSignature;
}

Source open_bitlocker(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys) {
  base::Bytes header = disks.read(block.source, 0, kSector);
  if (header.empty()) damaged("is cut off");
  uint32_t sector_size = load_u16(&header[11]);
  if (!std::equal(kId.begin(), kId.end(), header.begin() + 160))
    not_read("it is a kind of BitLocker that is not read");
  if (sector_size != 512 && sector_size != 4096) damaged("has an impossible sector size");
  Metadata metadata = read_metadata(disks, block, header);
  Cipher cipher = cipher_of(metadata.method, sector_size);
  std::optional<base::Bytes> master;
  const Entry* sealed = nullptr;
  for (const Entry& each : metadata.entries) {
    if (each.type == entry_protector && !master) master = master_key_in(each, keys);
    if (each.type == entry_key && each.value == value_ccm) sealed = &each;
  }
  if (!master)
    throw Error(ErrorCode::unauthorized,
                keys.empty()
                    ? "it is encrypted (BitLocker), and no recovery key was given"
                    : "it is encrypted (BitLocker), and none of the keys that were given opens it");
  auto plain = sealed == nullptr ? std::nullopt : open_ccm(*master, sealed->data);
  if (!plain || plain->size() < kKeyHeader + cipher.key.size())
    damaged("has a key that cannot be opened");
  std::copy_n(plain->begin() + kKeyHeader, cipher.key.size(), cipher.key.begin());
  uint64_t size = disks.size_of(block.source) / sector_size * sector_size;
  Source decrypted = disks.add({{.length = size, .places = {{block.source, 0}}}}, cipher);
  return arranged(disks, decrypted, metadata);
}

}  // namespace images::volumes
