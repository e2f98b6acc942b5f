#include "images/volumes/keys/key_stretching.h"

#include <argon2.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace images::volumes {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kMaxTime = 1000, kMaxLanes = 16;
constexpr size_t kMaxStretched = 128, kMaxSalt = 256;  // bytes

using Digest = std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Digest digest_of(const std::string& hash) {
  Digest digest(EVP_MD_fetch(nullptr, hash.c_str(), nullptr), EVP_MD_free);
  if (!digest || EVP_MD_get_size(digest.get()) <= 0)
    throw Error(ErrorCode::unsupported, "its hash is not known here");
  return digest;
}

int int_of(size_t size) { return static_cast<int>(size); }

// One step of the merge: each piece of a hash's length becomes the hash of its number and itself.
void diffuse(const EVP_MD* digest, base::MutableByteView block) {
  auto length = static_cast<size_t>(EVP_MD_get_size(digest));
  DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  for (size_t at = 0, number = 0; at < block.size(); at += length, ++number) {
    base::MutableByteView piece = block.subspan(at, std::min(length, block.size() - at));
    std::array<uint8_t, 4> prefix{static_cast<uint8_t>(number >> 24),
                                  static_cast<uint8_t>(number >> 16),
                                  static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
    std::array<uint8_t, EVP_MAX_MD_SIZE> hashed{};
    if (!context || EVP_DigestInit_ex(context.get(), digest, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), prefix.data(), prefix.size()) != 1 ||
        EVP_DigestUpdate(context.get(), piece.data(), piece.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), hashed.data(), nullptr) != 1)
      throw Error(ErrorCode::unsupported, "its hash cannot be used here");
    std::copy_n(hashed.begin(), piece.size(), piece.begin());
  }
}

void add(base::MutableByteView to, base::ByteView from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] ^= from[i];
}

}  // namespace

bool is_known_hash(const std::string& hash) {
  return Digest(EVP_MD_fetch(nullptr, hash.c_str(), nullptr), EVP_MD_free) != nullptr;
}

base::Bytes pbkdf2(const std::string& hash, base::ByteView secret, base::ByteView salt,
                   uint64_t iterations, size_t size) {
  if (iterations == 0 || iterations > kMaxIterations || size == 0 || size > kMaxStretched ||
      salt.size() > kMaxSalt)
    throw Error(ErrorCode::unsupported, "its key has impossible parameters");
  Digest digest = digest_of(hash);
  base::Bytes key(size);
  if (PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(secret.data()), int_of(secret.size()),
                        salt.data(), int_of(salt.size()), static_cast<int>(iterations),
                        digest.get(), int_of(size), key.data()) != 1)
    throw Error(ErrorCode::unsupported, "its hash cannot be used here");
  return key;
}

base::Bytes argon2(const Argon2& cost, base::ByteView secret, base::ByteView salt, size_t size) {
  if (cost.memory > kMaxStretchMemory >> 10)
    throw Error(ErrorCode::unsupported,
                fmt::format("its passphrase costs {} MiB of memory, more than the {} MiB that are "
                            "given",
                            cost.memory >> 10, kMaxStretchMemory >> 20));
  if (cost.time == 0 || cost.time > kMaxTime || cost.lanes == 0 || cost.lanes > kMaxLanes ||
      size == 0 || size > kMaxStretched || salt.size() > kMaxSalt)
    throw Error(ErrorCode::unsupported, "its key has impossible parameters");
  base::Bytes key(size);
  int result = argon2_hash(static_cast<uint32_t>(cost.time), static_cast<uint32_t>(cost.memory),
                           static_cast<uint32_t>(cost.lanes), secret.data(), secret.size(),
                           salt.data(), salt.size(), key.data(), key.size(), nullptr, 0,
                           cost.is_id ? Argon2_id : Argon2_i, ARGON2_VERSION_13);
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
    throw Error(ErrorCode::unavailable, "there was not enough memory to try its passphrase");
  if (result != ARGON2_OK) throw Error(ErrorCode::unsupported, "its key has impossible parameters");
  return key;
}

base::Bytes merge_stripes(const std::string& hash, base::ByteView material, size_t size,
                          uint32_t stripes) {
  Digest digest = digest_of(hash);
  base::Bytes block(size);
  for (uint32_t i = 0; i < stripes; ++i) {
    add(block, material.subspan(size_t{i} * size, size));
    if (i + 1 < stripes) diffuse(digest.get(), block);
  }
  return block;
}

base::Bytes split_stripes(const std::string& hash, base::ByteView key, uint32_t stripes) {
  Digest digest = digest_of(hash);
  base::Bytes material(key.size() * stripes), block(key.size());
  for (uint32_t i = 0; i + 1 < stripes; ++i) diffuse(digest.get(), block);
  add(block, key);
  std::copy(block.begin(), block.end(), material.end() - static_cast<ptrdiff_t>(key.size()));
  return material;
}

}  // namespace images::volumes
