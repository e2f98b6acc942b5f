// From a secret to a key, as encrypted volumes do it: slowly, on purpose. PBKDF2 (RFC 8018) by
// OpenSSL, Argon2 (RFC 9106) by libargon2; and LUKS' anti-forensic merge. The parameters come from
// a disk and are bounded. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace images::volumes {

constexpr uint64_t kMaxIterations = 50'000'000;
// The largest memory that a passphrase may cost. cryptsetup itself takes at most 1 GiB unless it is
// told otherwise.
constexpr uint64_t kMaxStretchMemory = 2ull << 30;  // bytes

// "sha1", "sha256", "sha512", "ripemd160", …: whether OpenSSL here has it.
bool is_known_hash(const std::string& hash);

// Throws unsupported for a hash that is not known or a parameter beyond its limit.
base::Bytes pbkdf2(const std::string& hash, base::ByteView secret, base::ByteView salt,
                   uint64_t iterations, size_t size);

struct Argon2 {
  bool is_id = true;  // argon2id; false: argon2i
  uint64_t time = 0;
  uint64_t memory = 0;  // KiB
  uint64_t lanes = 0;
};
// Throws unsupported for a parameter beyond its limit, unavailable if there is no memory for it.
base::Bytes argon2(const Argon2& cost, base::ByteView secret, base::ByteView salt, size_t size);

// LUKS spreads a key over many stripes, so that a lost sector loses it: `material` has `stripes`
// times `size` bytes.
base::Bytes merge_stripes(const std::string& hash, base::ByteView material, size_t size,
                          uint32_t stripes);
// The opposite, with stripes of zeros in place of random ones: for tests.
base::Bytes split_stripes(const std::string& hash, base::ByteView key, uint32_t stripes);

}  // namespace images::volumes
