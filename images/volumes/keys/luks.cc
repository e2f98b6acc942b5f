// A header holds several key slots. Each has the volume's key, spread over stripes and encrypted
// with a key that a passphrase is stretched to; and a digest of the volume's key tells whether it
// is the right one. Version 1 has all that at fixed places, version 2 as JSON, in two copies.
#include "images/volumes/keys/luks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json_access.h"
#include "images/volumes/keys/key_stretching.h"
#include "images/volumes/sector_cipher.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr std::string_view kMagic("LUKS\xba\xbe", 6), kSecondMagic("SKUL\xba\xbe", 6);
constexpr size_t kHeader1 = 592, kHeader2 = 4096;
constexpr uint64_t kMaxHeader2 = 4 << 20;
constexpr uint32_t kActiveSlot = 0x00ac71f3;
constexpr size_t kSlots1 = 8;
constexpr uint32_t kMaxStripes = 100'000;
constexpr size_t kMaxMaterial = 8 << 20;  // bytes: all stripes of a key
constexpr size_t kMaxSlots = 32;
// The sizes that LUKS2's specification allows for a header with its JSON.
constexpr std::array<uint64_t, 9> kHeaderSizes{0x4000,  0x8000,   0x10000,  0x20000, 0x40000,
                                               0x80000, 0x100000, 0x200000, 0x400000};

[[noreturn]] void damaged(std::string_view problem) {
  throw Error(ErrorCode::corrupt, fmt::format("its header of LUKS {}", problem));
}

[[noreturn]] void not_read(std::string problem) {
  throw Error(ErrorCode::unsupported, std::move(problem));
}

uint32_t big_u32(const uint8_t* from) {
  return uint32_t{from[0]} << 24 | uint32_t{from[1]} << 16 | uint32_t{from[2]} << 8 | from[3];
}
uint64_t big_u64(const uint8_t* from) { return uint64_t{big_u32(from)} << 32 | big_u32(from + 4); }

// A text of a fixed field.
std::string text_at(base::ByteView bytes, size_t at, size_t size) {
  std::string_view text = base::as_text(bytes).substr(at, size);
  return std::string(text.substr(0, text.find('\0')));
}

// "aes-xts-plain64"; without the key.
Cipher cipher_of(const std::string& name) {
  Cipher cipher;
  if (name == "aes-xts-plain64") return cipher;
  if (name == "aes-xts-plain") {
    cipher.iv = SectorIv::plain;
    return cipher;
  }
  cipher.mode = CipherMode::cbc;
  if (name == "aes-cbc-essiv:sha256") cipher.iv = SectorIv::essiv;
  else if (name == "aes-cbc-plain") cipher.iv = SectorIv::plain;
  else if (name != "aes-cbc-plain64")
    not_read(fmt::format("it is encrypted with {}, which is not read", clean_name(name)));
  return cipher;
}

// Whether AES in this mode has keys of that length, in bytes.
bool fits(const Cipher& cipher, uint64_t key_size) {
  return key_size == 32 || key_size == (cipher.mode == CipherMode::xts ? 64 : 16);
}

// Where a slot's key is, and how a secret opens it.
struct Slot {
  uint64_t offset = 0;  // bytes
  uint32_t stripes = 0;
  std::string split_hash;
  Cipher cipher;               // of the stripes
  uint64_t slot_key_size = 0;  // of that cipher
  bool is_argon = false;
  Argon2 cost;
  std::string hash;  // of PBKDF2
  uint64_t iterations = 0;
  base::Bytes salt;
};

struct KeyDigest {
  std::string hash;
  uint64_t iterations = 0;
  base::Bytes salt, digest;
};

// The volume's key, if the secret opens this slot.
std::optional<base::Bytes> key_in(const LayeredDisks& disks, const Block& block, const Slot& slot,
                                  const KeyDigest& digest, uint64_t key_size,
                                  base::ByteView secret) {
  uint64_t size = key_size * slot.stripes;
  if (slot.stripes == 0 || slot.stripes > kMaxStripes || size > kMaxMaterial)
    damaged("has an impossible key slot");
  uint64_t padded = (size + kSector - 1) / kSector * kSector;
  base::Bytes material = disks.read(block.source, slot.offset, padded);
  if (material.empty()) damaged("has a key slot beyond its volume");
  Cipher cipher = slot.cipher;
  cipher.key = slot.is_argon
                   ? argon2(slot.cost, secret, slot.salt, slot.slot_key_size)
                   : pbkdf2(slot.hash, secret, slot.salt, slot.iterations, slot.slot_key_size);
  decrypt_sectors(cipher, 0, material);
  base::Bytes key =
      merge_stripes(slot.split_hash, base::ByteView(material).first(size), key_size, slot.stripes);
  base::Bytes seen = pbkdf2(digest.hash, key, digest.salt, digest.iterations, digest.digest.size());
  if (!base::equal_in_constant_time(seen, digest.digest)) return std::nullopt;
  return key;
}

// Tries each secret on each slot. A slot that cannot be tried does not keep others from it.
base::Bytes find_key(const LayeredDisks& disks, const Block& block, const std::vector<Slot>& slots,
                     const KeyDigest& digest, uint64_t key_size, const std::vector<VolumeKey>& keys,
                     std::string_view kind) {
  if (keys.empty())
    throw Error(ErrorCode::unauthorized,
                fmt::format("it is encrypted ({}), and no key was given", kind));
  std::string obstacle;
  for (const VolumeKey& each : keys) {
    for (const Slot& slot : slots) {
      try {
        if (auto key = key_in(disks, block, slot, digest, key_size, each.secret)) return *key;
      } catch (const Error& error) {
        obstacle = error.message();
      }
    }
  }
  if (!obstacle.empty()) not_read(obstacle);
  throw Error(
      ErrorCode::unauthorized,
      fmt::format("it is encrypted ({}), and none of the keys that were given opens it", kind));
}

// ---- version 1

Source open_first(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys) {
  base::Bytes header = disks.read(block.source, 0, kHeader1);
  if (header.empty()) damaged("is cut off");
  Cipher cipher = cipher_of(text_at(header, 8, 32) + "-" + text_at(header, 40, 32));
  std::string hash = text_at(header, 72, 32);
  uint64_t payload = big_u32(&header[104]) * kSector, key_size = big_u32(&header[108]);
  if (!fits(cipher, key_size)) not_read("its key has a length that is not read");
  KeyDigest digest{hash, big_u32(&header[164]), {}, {}};
  digest.digest.assign(header.begin() + 112, header.begin() + 132);
  digest.salt.assign(header.begin() + 132, header.begin() + 164);
  std::vector<Slot> slots;
  for (size_t i = 0; i < kSlots1; ++i) {
    const uint8_t* entry = &header[208 + 48 * i];
    if (big_u32(entry) != kActiveSlot) continue;
    Slot slot;
    slot.offset = big_u32(entry + 40) * kSector;
    slot.stripes = big_u32(entry + 44);
    slot.split_hash = slot.hash = hash;
    slot.cipher = cipher;
    slot.slot_key_size = key_size;
    slot.iterations = big_u32(entry + 4);
    slot.salt.assign(entry + 8, entry + 40);
    slots.push_back(std::move(slot));
  }
  uint64_t size = disks.size_of(block.source);
  if (payload == 0 || payload >= size) damaged("places its data beyond the volume");
  cipher.key = find_key(disks, block, slots, digest, key_size, keys, "LUKS");
  uint64_t length = (size - payload) / kSector * kSector;
  return disks.add({{.length = length, .places = {{block.source, payload}}}}, cipher);
}

// ---- version 2

// Numbers beyond JSON's are texts.
uint64_t number_in(const json& object, const char* name) {
  std::string text = base::find_text(object, name).value_or("");
  uint64_t number = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr uint64_t kMax = 1ull << 50;
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() ||
      number > kMax)
    damaged(fmt::format("has no usable {}", name));
  return number;
}

base::Bytes from_base64(const std::string& text) {
  constexpr size_t kMax = 1024;
  base::Bytes bytes;
  if (text.size() > kMax) damaged("has a value that is too long");
  uint32_t value = 0;
  int bits = 0;
  for (char c : text) {
    int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52
                : c == '+'             ? 62
                : c == '/'             ? 63
                                       : -1;
    if (c == '=' || c == '\n') continue;
    if (digit < 0) damaged("has a value that is not base64");
    value = value << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<uint8_t>(value >> bits));
  }
  return bytes;
}

base::Bytes bytes_in(const json& object, const char* name) {
  return from_base64(base::find_text(object, name).value_or(""));
}

// The JSON of the copy at `at`; none if it is damaged.
std::optional<std::pair<uint64_t, json>> copy_at(const LayeredDisks& disks, const Block& block,
                                                 uint64_t at, std::string_view magic) {
  base::Bytes header = disks.read(block.source, at, kHeader2);
  if (header.empty() || base::as_text(header).substr(0, magic.size()) != magic || header[6] != 0 ||
      header[7] != 2)
    return std::nullopt;
  uint64_t size = big_u64(&header[8]);
  if (size < 2 * kHeader2 || size > kMaxHeader2 || big_u64(&header[256]) != at) return std::nullopt;
  if (text_at(header, 72, 32) != "sha256") return std::nullopt;
  base::Bytes whole = disks.read(block.source, at, size);
  if (whole.empty()) return std::nullopt;
  base::Sha256 sum;
  std::copy_n(whole.begin() + 448, sum.size(), sum.begin());
  std::fill_n(whole.begin() + 448, 64, uint8_t{0});
  if (base::sha256(whole) != sum) return std::nullopt;
  std::string text = text_at(whole, kHeader2, whole.size() - kHeader2);
  auto parsed = base::find_json(text, {.depth = 16, .size = kMaxHeader2, .value_count = 20'000});
  if (!parsed) return std::nullopt;
  return std::pair{big_u64(&header[16]), std::move(*parsed)};
}

json description_of(const LayeredDisks& disks, const Block& block) {
  auto best = copy_at(disks, block, 0, kMagic);
  for (uint64_t at : kHeaderSizes) {
    auto second = copy_at(disks, block, at, kSecondMagic);
    if (second && (!best || second->first > best->first)) best = std::move(second);
  }
  if (!best) damaged("is damaged in both copies");
  return std::move(best->second);
}

const json& object_in(const json& object, const char* name) {
  const json* found = base::find_field(object, name);
  if (found == nullptr || !found->is_object()) damaged(fmt::format("has no {}", name));
  return *found;
}

std::optional<Slot> slot_of(const json& object, uint64_t key_size) {
  if (base::find_text(object, "type").value_or("") != "luks2") return std::nullopt;
  const json &split = object_in(object, "af"), &area = object_in(object, "area"),
             &kdf = object_in(object, "kdf");
  if (base::find_natural(object, "key_size").value_or(0) != key_size) return std::nullopt;
  Slot slot;
  slot.stripes = static_cast<uint32_t>(
      std::min<uint64_t>(base::find_natural(split, "stripes").value_or(0), kMaxStripes + 1));
  slot.split_hash = base::find_text(split, "hash").value_or("");
  slot.offset = number_in(area, "offset");
  slot.cipher = cipher_of(base::find_text(area, "encryption").value_or(""));
  slot.slot_key_size = base::find_natural(area, "key_size").value_or(0);
  if (!fits(slot.cipher, slot.slot_key_size)) return std::nullopt;
  std::string type = base::find_text(kdf, "type").value_or("");
  slot.salt = bytes_in(kdf, "salt");
  slot.is_argon = type != "pbkdf2";
  slot.cost = {type == "argon2id", base::find_natural(kdf, "time").value_or(0),
               base::find_natural(kdf, "memory").value_or(0),
               base::find_natural(kdf, "cpus").value_or(0)};
  slot.hash = base::find_text(kdf, "hash").value_or("");
  slot.iterations = base::find_natural(kdf, "iterations").value_or(0);
  if (type != "pbkdf2" && type != "argon2id" && type != "argon2i") return std::nullopt;
  return slot;
}

// The digest of the segment's key, and the slots that hold that key.
KeyDigest digest_of_segment(const json& description, std::vector<std::string>& slot_names) {
  for (const auto& [name, each] : object_in(description, "digests").items()) {
    if (!each.is_object() || base::find_text(each, "type").value_or("") != "pbkdf2") continue;
    auto names_of = [&](const char* field) {
      std::vector<std::string> names;
      for (const json& item : base::find_list(each, field)) {
        if (item.is_string() && names.size() < kMaxSlots) names.push_back(item.get<std::string>());
      }
      return names;
    };
    std::vector<std::string> segments = names_of("segments");
    if (std::find(segments.begin(), segments.end(), "0") == segments.end()) continue;
    slot_names = names_of("keyslots");
    KeyDigest digest{base::find_text(each, "hash").value_or(""),
                     base::find_natural(each, "iterations").value_or(0), bytes_in(each, "salt"),
                     bytes_in(each, "digest")};
    if (digest.digest.size() < 16) damaged("has no usable digest");
    return digest;
  }
  damaged("has no usable digest");
}

// The segment with the data, its cipher without the key.
struct Data {
  Cipher cipher;
  uint64_t offset = 0, length = 0;
};

Data data_of(const json& description, uint64_t whole) {
  const json& segments = object_in(description, "segments");
  const json& config = object_in(description, "config");
  if (segments.size() != 1 || !segments.contains("0") ||
      base::find_field(config, "requirements") != nullptr)
    not_read("it was being encrypted or re-encrypted, which is not read");
  const json& segment = object_in(segments, "0");
  if (base::find_text(segment, "type").value_or("") != "crypt")
    not_read("it is a kind of LUKS that is not read");
  if (base::find_field(segment, "integrity") != nullptr)
    not_read("it is LUKS with integrity, which is not read");
  Data data;
  data.cipher = cipher_of(base::find_text(segment, "encryption").value_or(""));
  data.cipher.sector_size = static_cast<uint32_t>(
      std::min<uint64_t>(base::find_natural(segment, "sector_size").value_or(512), 1 << 20));
  data.cipher.first_iv = number_in(segment, "iv_tweak");
  data.offset = number_in(segment, "offset");
  if (data.offset >= whole) damaged("places its data beyond the volume");
  bool is_rest = base::find_text(segment, "size").value_or("") == "dynamic";
  data.length = is_rest ? whole - data.offset : number_in(segment, "size");
  uint64_t sector = std::max<uint32_t>(data.cipher.sector_size, 512);
  data.length = data.length / sector * sector;
  return data;
}

Source open_second(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys) {
  json description = description_of(disks, block);
  Data data = data_of(description, disks.size_of(block.source));
  std::vector<std::string> names;
  KeyDigest digest = digest_of_segment(description, names);
  const json& all = object_in(description, "keyslots");
  std::vector<Slot> slots;
  uint64_t key_size = data.cipher.mode == CipherMode::xts ? 64 : 32;
  for (uint64_t size : {64, 32, 16}) {
    if (!slots.empty()) break;
    key_size = size;
    if (!fits(data.cipher, size)) continue;
    for (const std::string& name : names) {
      auto slot = all.find(name);
      if (slot == all.end() || !slot->is_object()) continue;
      try {
        if (auto usable = slot_of(*slot, size)) slots.push_back(std::move(*usable));
      } catch (const Error&) {
        // Of a kind that is not read; another slot may be.
      }
    }
  }
  if (slots.empty() && !keys.empty()) not_read("it has no key slot of a kind that is read");
  data.cipher.key = find_key(disks, block, slots, digest, key_size, keys, "LUKS2");
  return disks.add({{.length = data.length, .places = {{block.source, data.offset}}}}, data.cipher);
}

}  // namespace

bool is_luks(const LayeredDisks& disks, const Block& block) {
  base::Bytes start = disks.read(block.source, 0, 8);
  return !start.empty() && base::as_text(start).substr(0, kMagic.size()) == kMagic;
}

Source open_luks(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys) {
  base::Bytes start = disks.read(block.source, 0, 8);
  bool is_first = !start.empty() && base::as_text(start).substr(0, kMagic.size()) == kMagic &&
                  start[6] == 0 && start[7] == 1;
  return is_first ? open_first(disks, block, keys) : open_second(disks, block, keys);
}

}  // namespace images::volumes
