#include "tests/images/volumes/volume_images.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "base/crypto.h"
#include "images/volumes/keys/bitlocker.h"
#include "images/volumes/keys/key_stretching.h"
#include "images/volumes/sector_cipher.h"

namespace tests {
namespace {

using base::Bytes;
using images::volumes::Cipher;
using images::volumes::CipherMode;
using images::volumes::SectorIv;

void put(Bytes& to, size_t at, base::ByteView bytes) {
  std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<ptrdiff_t>(at));
}
void put_text(Bytes& to, size_t at, std::string_view text) { put(to, at, base::as_bytes(text)); }
void put_u16(Bytes& to, size_t at, uint32_t value) {
  to[at] = static_cast<uint8_t>(value);
  to[at + 1] = static_cast<uint8_t>(value >> 8);
}
void put_u32(Bytes& to, size_t at, uint32_t value) { base::store_u32(&to[at], value); }
void put_u64(Bytes& to, size_t at, uint64_t value) { base::store_u64(&to[at], value); }
void put_big(Bytes& to, size_t at, uint64_t value, int size) {
  for (int i = 0; i < size; ++i)
    to[at + static_cast<size_t>(i)] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
}

uint32_t lvm_crc(base::ByteView bytes) {
  uint32_t crc = 0xf597a6cf;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return crc;
}

}  // namespace

void MemoryDisk::read(uint64_t offset, base::MutableByteView out) {
  std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
}

Bytes pattern(size_t size, uint32_t seed) {
  Bytes bytes(size);
  uint32_t value = seed * 2654435761u + 1;
  for (uint8_t& byte : bytes) {
    value = value * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(value >> 24);
  }
  return bytes;
}

// ---- LVM

void make_physical_volume(Bytes& disk, const std::string& id, const std::string& text) {
  constexpr uint64_t kArea = 4096, kAreaSize = (1 << 20) - 4096;
  std::fill_n(disk.begin(), 1 << 20, uint8_t{0});
  Bytes sector(512);
  put_text(sector, 0, "LABELONE");
  put_u64(sector, 8, 1);
  put_u32(sector, 20, 32);
  put_text(sector, 24, "LVM2 001");
  put_text(sector, 32, id);
  put_u64(sector, 64, disk.size());
  put_u64(sector, 72, 1 << 20);  // data to the end
  put_u64(sector, 104, kArea);
  put_u64(sector, 112, kAreaSize);
  put_u32(sector, 16, lvm_crc(base::ByteView(sector).subspan(20)));
  put(disk, 512, sector);
  Bytes header(512);
  put_text(header, 4, std::string_view("\x20LVM2 x[5A%r0N*>", 16));
  put_u32(header, 20, 1);
  put_u64(header, 24, kArea);
  put_u64(header, 32, kAreaSize);
  if (!text.empty()) {
    std::string whole = text + '\0';
    put_u64(header, 40, 512);
    put_u64(header, 48, whole.size());
    put_u32(header, 56, lvm_crc(base::as_bytes(whole)));
    put_text(disk, kArea + 512, whole);
  }
  put_u32(header, 0, lvm_crc(base::ByteView(header).subspan(4)));
  put(disk, kArea, header);
}

std::string physical_text(const std::string& key, const std::string& id, uint32_t extent_count) {
  return fmt::format(
      "{} {{\nid = \"{}\"\ndevice = \"/dev/{}\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\n"
      "pe_start = 2048\npe_count = {}\n}}\n",
      key, id, key, extent_count);
}

std::string group_text(const std::string& name, uint32_t seqno, const std::string& physical,
                       const std::string& logical) {
  return fmt::format(
      "{} {{\nid = \"group-{}\"\nseqno = {}\nformat = \"lvm2\" # informational\n"
      "status = [\"RESIZEABLE\", \"READ\"]\nextent_size = 2048\nphysical_volumes {{\n{}}}\n"
      "logical_volumes {{\n{}}}\n}}\n# Generated\ncontents = \"Text Format Volume Group\"\n"
      "version = 1\n",
      name, name, seqno, physical, logical);
}

std::string logical_text(const std::string& name, uint32_t extent_count, const std::string& segment,
                         bool is_visible) {
  return fmt::format(
      "{} {{\nid = \"{}\"\nstatus = [\"READ\", \"WRITE\"{}]\nsegment_count = 1\nsegment1 {{\n"
      "start_extent = 0\nextent_count = {}\n{}\n}}\n}}\n",
      name, name, is_visible ? ", \"VISIBLE\"" : "", extent_count, segment);
}

// ---- RAID

void make_raid_member(Bytes& disk, int version, const RaidShape& shape) {
  uint64_t sectors = disk.size() / 512;
  uint64_t at = version == 0 ? (sectors - 16) / 8 * 8 : version == 1 ? 0 : 8;
  uint64_t begin = version == 0 ? 0 : 2048;
  Bytes block(256 + 2 * 64);
  put_u32(block, 0, 0xa92b4efc);
  put_u32(block, 4, 1);
  put_text(block, 16, "0123456789abcdef");
  put_text(block, 32, "web:0");
  put_u32(block, 72, static_cast<uint32_t>(shape.level));
  put_u32(block, 76, shape.layout);
  put_u64(block, 80, shape.used_size / 512);
  put_u32(block, 88, shape.chunk_size / 512);
  put_u32(block, 92, shape.member_count);
  put_u64(block, 128, begin);
  put_u64(block, 136, (version == 0 ? at : sectors) - begin);
  put_u64(block, 144, at);
  put_u32(block, 160, shape.role);
  put_u64(block, 200, shape.event_count);
  put_u32(block, 220, 64);
  for (uint32_t i = 0; i < 64; ++i)
    put_u16(block, 256 + size_t{2} * i, i < shape.member_count ? i : 0xffff);
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); i += 4) sum += base::load_u32(&block[i]);
  put_u32(block, 216, static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32)));
  put(disk, at * 512, block);
}

void make_old_raid_member(Bytes& disk, const RaidShape& shape) {
  uint64_t at = disk.size() / 65536 * 65536 - 65536;
  Bytes block(4096);
  auto word = [&](size_t index, uint32_t value) { put_u32(block, index * 4, value); };
  word(0, 0xa92b4efc);
  word(2, 90);
  word(5, 0x11111111);
  word(7, static_cast<uint32_t>(shape.level));
  word(8, static_cast<uint32_t>(shape.used_size / 1024));
  word(9, shape.member_count);
  word(10, shape.member_count);
  word(13, 0x22222222);
  word(39, static_cast<uint32_t>(shape.event_count));
  word(64, shape.layout);
  word(65, shape.chunk_size);
  word(992, shape.role);
  word(995, shape.role);
  word(996, 6);
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); i += 4) sum += base::load_u32(&block[i]);
  word(38, static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32)));
  put(disk, at, block);
}

// ---- LUKS

namespace {

constexpr uint32_t kStripes = 4000, kIterations = 1000;

std::string base64(base::ByteView bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                  static_cast<int>(bytes.size()));
  return out;
}

Cipher cipher_named(const std::string& name, Bytes key) {
  Cipher cipher;
  cipher.key = std::move(key);
  if (name == "aes-cbc-essiv:sha256") {
    cipher.mode = CipherMode::cbc;
    cipher.iv = SectorIv::essiv;
  }
  return cipher;
}

Bytes slot_material(const std::string& cipher, const Bytes& key, const std::string& secret,
                    const Bytes& salt) {
  Bytes material = images::volumes::split_stripes("sha256", key, kStripes);
  material.resize((material.size() + 511) / 512 * 512);
  Bytes slot_key =
      images::volumes::pbkdf2("sha256", base::as_bytes(secret), salt, kIterations, key.size());
  images::volumes::encrypt_sectors(cipher_named(cipher, slot_key), 0, material);
  return material;
}

}  // namespace

Bytes luks1(const Bytes& plain, const std::string& secret) {
  constexpr uint64_t kPayload = 1 << 20;
  Bytes disk(kPayload + plain.size()), key = pattern(64, 7), salt = pattern(32, 8);
  put_text(disk, 0, "LUKS\xba\xbe");
  put_big(disk, 6, 1, 2);
  put_text(disk, 8, "aes");
  put_text(disk, 40, "xts-plain64");
  put_text(disk, 72, "sha256");
  put_big(disk, 104, kPayload / 512, 4);
  put_big(disk, 108, key.size(), 4);
  put(disk, 112, images::volumes::pbkdf2("sha256", key, salt, kIterations, 20));
  put(disk, 132, salt);
  put_big(disk, 164, kIterations, 4);
  put_big(disk, 208, 0x00ac71f3, 4);
  put_big(disk, 212, kIterations, 4);
  put(disk, 216, salt);
  put_big(disk, 248, 8, 4);
  put_big(disk, 252, kStripes, 4);
  put(disk, 4096, slot_material("aes-xts-plain64", key, secret, salt));
  Bytes data = plain;
  images::volumes::encrypt_sectors(cipher_named("aes-xts-plain64", key), 0, data);
  put(disk, kPayload, data);
  return disk;
}

Bytes luks2(const Bytes& plain, const std::string& secret, const std::string& cipher,
            uint32_t sector_size) {
  constexpr uint64_t kHeader = 16384, kPayload = 2 << 20;
  size_t key_size = cipher.find("cbc") == std::string::npos ? 64 : 32;
  Bytes disk(kPayload + plain.size()), key = pattern(key_size, 17), salt = pattern(32, 18);
  std::string text = fmt::format(
      R"({{"keyslots":{{"0":{{"type":"luks2","key_size":{},"af":{{"type":"luks1","stripes":{},)"
      R"("hash":"sha256"}},"area":{{"type":"raw","offset":"{}","size":"262144",)"
      R"("encryption":"{}","key_size":{}}},"kdf":{{"type":"pbkdf2","hash":"sha256",)"
      R"("iterations":{},"salt":"{}"}}}}}},"tokens":{{}},"segments":{{"0":{{"type":"crypt",)"
      R"("offset":"{}","size":"dynamic","iv_tweak":"0","encryption":"{}","sector_size":{}}}}},)"
      R"("digests":{{"0":{{"type":"pbkdf2","keyslots":["0"],"segments":["0"],"hash":"sha256",)"
      R"("iterations":{},"salt":"{}","digest":"{}"}}}},"config":{{"json_size":"12288",)"
      R"("keyslots_size":"1048576"}}}})",
      key_size, kStripes, 2 * kHeader, cipher, key_size, kIterations, base64(salt), kPayload,
      cipher, sector_size, kIterations, base64(salt),
      base64(images::volumes::pbkdf2("sha256", key, salt, kIterations, 32)));
  for (int copy = 0; copy < 2; ++copy) {
    Bytes header(kHeader);
    put_text(header, 0, copy == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe");
    put_big(header, 6, 2, 2);
    put_big(header, 8, kHeader, 8);
    put_big(header, 16, 3, 8);
    put_text(header, 72, "sha256");
    put_big(header, 256, copy == 0 ? 0 : kHeader, 8);
    put_text(header, 4096, text);
    put(header, 448, base::sha256(header));
    put(disk, copy == 0 ? 0 : kHeader, header);
  }
  put(disk, 2 * kHeader, slot_material(cipher, key, secret, salt));
  Bytes data = plain;
  Cipher data_cipher = cipher_named(cipher, key);
  data_cipher.sector_size = sector_size;
  images::volumes::encrypt_sectors(data_cipher, 0, data);
  put(disk, kPayload, data);
  return disk;
}

// ---- BitLocker

namespace {

constexpr uint64_t kFirstSectors = 8192, kMetadata = 64 << 10;
constexpr uint64_t kHeaderPlace = 768 << 10;
constexpr uint64_t kCopies[] = {256 << 10, 384 << 10, 512 << 10};

Bytes sealed(base::ByteView key, const Bytes& plain) {
  Bytes out(12 + 16 + plain.size());
  put(out, 0, pattern(12, 40));
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free);
  int length = 0;
  EVP_CIPHER_CTX* raw = context.get();
  EVP_EncryptInit_ex(raw, EVP_aes_256_ccm(), nullptr, nullptr, nullptr);
  EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_IVLEN, 12, nullptr);
  EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_TAG, 16, nullptr);
  EVP_EncryptInit_ex(raw, nullptr, nullptr, key.data(), out.data());
  EVP_EncryptUpdate(raw, &out[28], &length, plain.data(), static_cast<int>(plain.size()));
  EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_GET_TAG, 16, &out[12]);
  return out;
}

Bytes entry(uint16_t type, uint16_t value, const Bytes& data) {
  Bytes out(8 + data.size());
  put_u16(out, 0, static_cast<uint32_t>(out.size()));
  put_u16(out, 2, type);
  put_u16(out, 4, value);
  put_u16(out, 6, 1);
  put(out, 8, data);
  return out;
}

Bytes key_entry(const Bytes& key, uint32_t method) {
  Bytes data(4 + key.size());
  put_u32(data, 0, method);
  put(data, 4, key);
  return entry(0, 1, data);
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

Bytes stretched(base::ByteView secret, base::ByteView salt) {
  Bytes state(88);
  put(state, 32, secret);
  put(state, 64, salt);
  for (uint32_t i = 0; i < 1 << 20; ++i) {
    put_u64(state, 80, i);
    put(state, 0, base::sha256(state));
  }
  state.resize(32);
  return state;
}

}  // namespace

Bytes seen_in_bitlocker(Bytes plain) {
  for (uint64_t copy : kCopies)
    std::fill_n(plain.begin() + static_cast<ptrdiff_t>(copy), kMetadata, uint8_t{0});
  std::fill_n(plain.begin() + static_cast<ptrdiff_t>(kHeaderPlace), kFirstSectors, uint8_t{0});
  return plain;
}

Bytes bitlocker(const Bytes& plain) {
  Bytes master = pattern(32, 41), key = pattern(32, 42), salt = pattern(16, 43);
  Bytes protector(28);
  put_u16(protector, 26, 0x800);
  Bytes stretch(4 + salt.size());
  put_u32(stretch, 0, 0x1000);
  put(stretch, 4, salt);
  append(protector, entry(0, 3, stretch));
  append(protector, entry(0, 5,
                          sealed(stretched(images::volumes::recovery_key_of(kRecoveryKey), salt),
                                 key_entry(master, 0x2003))));
  Bytes entries = entry(2, 8, protector);
  append(entries, entry(3, 5, sealed(master, key_entry(key, 0x8004))));
  Bytes place(16);
  put_u64(place, 0, kHeaderPlace);
  put_u64(place, 8, kFirstSectors);
  append(entries, entry(15, 15, place));

  Bytes metadata(kMetadata);
  put_text(metadata, 0, "-FVE-FS-");
  put_u16(metadata, 10, 2);
  put_u16(metadata, 12, 4);
  put_u16(metadata, 14, 4);
  put_u64(metadata, 16, plain.size());
  put_u32(metadata, 28, kFirstSectors / 512);
  for (size_t i = 0; i < 3; ++i) put_u64(metadata, 32 + 8 * i, kCopies[i]);
  put_u64(metadata, 56, kHeaderPlace);
  put_u32(metadata, 64, static_cast<uint32_t>(48 + entries.size()));
  put_u32(metadata, 68, 1);
  put_u32(metadata, 72, 48);
  put_u32(metadata, 76, static_cast<uint32_t>(48 + entries.size()));
  put_u32(metadata, 64 + 36, 0x8004);
  put(metadata, 112, entries);

  Bytes disk = plain;
  put(disk, kHeaderPlace, base::ByteView(plain).first(kFirstSectors));
  Cipher cipher;
  cipher.key = key;
  images::volumes::encrypt_sectors(cipher, 0, disk);
  for (uint64_t copy : kCopies) put(disk, copy, metadata);
  std::fill_n(disk.begin(), kFirstSectors, uint8_t{0});
  put_text(disk, 0, std::string_view("\xeb\x58\x90-FVE-FS-", 11));
  put_u16(disk, 11, 512);
  disk[13] = 8;
  const uint8_t id[] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
                        0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
  put(disk, 160, id);
  for (size_t i = 0; i < 3; ++i) put_u64(disk, 176 + 8 * i, kCopies[i]);
  put_u16(disk, 510, 0xaa55);
  return disk;
}

}  // namespace tests
