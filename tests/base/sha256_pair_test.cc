#include "base/sha256_pair.h"

#include <catch2/catch.hpp>

namespace {

base::Bytes bytes_of(size_t size, uint8_t seed) {
  base::Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(seed + i * 31 + i / 251);
  return bytes;
}

}  // namespace

TEST_CASE("two messages hashed at once get the hashes each has alone") {
  base::Key256 key;
  key.fill(0x5a);
  for (size_t size = 0; size < 300; ++size) {
    base::Bytes first = bytes_of(size, 1), second = bytes_of(size, 77);
    auto plain = base::sha256_pair(first, second);
    auto keyed = base::hmac_sha256_pair(key, first, second);
    INFO("size " << size);
    CHECK(plain[0] == base::sha256(first));
    CHECK(plain[1] == base::sha256(second));
    CHECK(keyed[0] == base::hmac_sha256(key, first));
    CHECK(keyed[1] == base::hmac_sha256(key, second));
  }
  base::Bytes first = bytes_of(65536, 3), second = bytes_of(65536, 9);
  CHECK(base::sha256_pair(first, second)[0] == base::sha256(first));
  CHECK(base::hmac_sha256_pair(key, first, second)[1] == base::hmac_sha256(key, second));
}
