// Hashes, keys and authenticated encryption, all implemented with OpenSSL. Functions are
// thread-safe. Sources: SHA-256 FIPS 180-4, HMAC RFC 2104, HKDF RFC 5869, AES-GCM NIST SP 800-38D,
// scrypt RFC 7914.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace base {

using Sha256 = std::array<uint8_t, 32>;
using Key256 = std::array<uint8_t, 32>;

Sha256 sha256(ByteView bytes);
Sha256 hmac_sha256(ByteView key, ByteView bytes);

// SHA-256 of bytes that arrive in pieces. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void update(ByteView bytes);
  Sha256 finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Derives a 32-byte key for one purpose from a master key: HKDF-SHA-256 with `purpose` as info.
Key256 derive_key(const Key256& master, std::string_view purpose);

// Derives a key from a passphrase: scrypt with N = 2^log2_n, r = 8, p = 1 (2^(log2_n+10) bytes of
// memory). Throws invalid_argument unless 14 <= log2_n <= 20.
Key256 stretch_passphrase(std::string_view passphrase, ByteView salt, uint32_t log2_n);

void fill_random(MutableByteView out);
template <size_t kSize>
std::array<uint8_t, kSize> random_array() {
  std::array<uint8_t, kSize> out;
  fill_random(out);
  return out;
}

using GcmNonce = std::array<uint8_t, 12>;
constexpr size_t kGcmTagSize = 16;

// Ciphertext followed by the 16-byte tag: `out` has plain.size() + kGcmTagSize bytes. The caller
// must never use a nonce twice under one key with different plaintexts.
void gcm_seal(const Key256& key, const GcmNonce& nonce, ByteView associated, ByteView plain,
              MutableByteView out);
// `out` has sealed.size() - kGcmTagSize bytes. False, with `out` unspecified, if key or bytes are
// wrong.
[[nodiscard]] bool gcm_open(const Key256& key, const GcmNonce& nonce, ByteView associated,
                            ByteView sealed, MutableByteView out);

// XXH3-64: detects accidents, not attacks.
uint64_t checksum64(ByteView bytes);

// Compares in constant time, so that the duration does not reveal where they differ.
bool equal_in_constant_time(ByteView a, ByteView b);

}  // namespace base
