#include "base/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <xxhash.h>

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace base {
namespace {

// Fetched once: an implicit fetch per call costs more than hashing a small node.
const EVP_MD* sha256_method() {
  static const EVP_MD* method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(method != nullptr);
  return method;
}

const EVP_CIPHER* gcm_method() {
  static const EVP_CIPHER* method = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHECK(method != nullptr);
  return method;
}

struct DigestContext {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~DigestContext() { EVP_MD_CTX_free(context); }
};

struct CipherContext {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  ~CipherContext() { EVP_CIPHER_CTX_free(context); }
};

EVP_MD_CTX* thread_digest() {
  thread_local DigestContext holder;
  return holder.context;
}

EVP_CIPHER_CTX* thread_cipher() {
  thread_local CipherContext holder;
  return holder.context;
}

int to_int(size_t size) {
  CHECK(size <= 1u << 30);
  return static_cast<int>(size);
}

}  // namespace

Sha256 sha256(ByteView bytes) {
  EVP_MD_CTX* context = thread_digest();
  Sha256 out;
  CHECK(EVP_DigestInit_ex2(context, sha256_method(), nullptr) == 1);
  CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1);
  CHECK(EVP_DigestFinal_ex(context, out.data(), nullptr) == 1);
  return out;
}

Sha256 hmac_sha256(ByteView key, ByteView bytes) {
  constexpr size_t kBlock = 64;
  std::array<uint8_t, kBlock> inner{}, outer{};
  if (key.size() > kBlock) {
    Sha256 hashed = sha256(key);
    std::copy(hashed.begin(), hashed.end(), inner.begin());
  } else {
    std::copy(key.begin(), key.end(), inner.begin());
  }
  outer = inner;
  for (uint8_t& byte : inner) byte ^= 0x36;
  for (uint8_t& byte : outer) byte ^= 0x5c;

  EVP_MD_CTX* context = thread_digest();
  Sha256 out;
  CHECK(EVP_DigestInit_ex2(context, sha256_method(), nullptr) == 1);
  CHECK(EVP_DigestUpdate(context, inner.data(), inner.size()) == 1);
  CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1);
  CHECK(EVP_DigestFinal_ex(context, out.data(), nullptr) == 1);
  CHECK(EVP_DigestInit_ex2(context, sha256_method(), nullptr) == 1);
  CHECK(EVP_DigestUpdate(context, outer.data(), outer.size()) == 1);
  CHECK(EVP_DigestUpdate(context, out.data(), out.size()) == 1);
  CHECK(EVP_DigestFinal_ex(context, out.data(), nullptr) == 1);
  return out;
}

struct Sha256Stream::State {
  DigestContext digest;
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  CHECK(EVP_DigestInit_ex2(state_->digest.context, sha256_method(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::update(ByteView bytes) {
  CHECK(EVP_DigestUpdate(state_->digest.context, bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Stream::finish() {
  Sha256 out;
  CHECK(EVP_DigestFinal_ex(state_->digest.context, out.data(), nullptr) == 1);
  return out;
}

Key256 derive_key(const Key256& master, std::string_view purpose) {
  // One round of HKDF: extract with an empty salt, expand to one block.
  Key256 zero_salt{};
  Sha256 extracted = hmac_sha256(zero_salt, master);
  Bytes info(purpose.begin(), purpose.end());
  info.push_back(1);
  return hmac_sha256(extracted, info);
}

Key256 stretch_passphrase(std::string_view passphrase, ByteView salt, uint32_t log2_n) {
  if (log2_n < 14 || log2_n > 20) {
    throw Error(ErrorCode::invalid_argument,
                "scrypt cost 2^" + std::to_string(log2_n) + " is not allowed");
  }
  Key256 key;
  uint64_t n = 1ull << log2_n;
  uint64_t memory = (n << 10) + (1u << 21);
  int good = EVP_PBE_scrypt(passphrase.data(), passphrase.size(), salt.data(), salt.size(), n, 8, 1,
                            memory, key.data(), key.size());
  if (good != 1) throw Error(ErrorCode::io, "not enough memory to stretch the passphrase");
  return key;
}

void fill_random(MutableByteView out) { CHECK(RAND_bytes(out.data(), to_int(out.size())) == 1); }

void gcm_seal(const Key256& key, const GcmNonce& nonce, ByteView associated, ByteView plain,
              MutableByteView out) {
  CHECK(out.size() == plain.size() + kGcmTagSize);
  EVP_CIPHER_CTX* context = thread_cipher();
  int count = 0;
  CHECK(EVP_EncryptInit_ex2(context, gcm_method(), key.data(), nonce.data(), nullptr) == 1);
  CHECK(EVP_EncryptUpdate(context, nullptr, &count, associated.data(), to_int(associated.size())) ==
        1);
  CHECK(EVP_EncryptUpdate(context, out.data(), &count, plain.data(), to_int(plain.size())) == 1);
  int tail = 0;
  CHECK(EVP_EncryptFinal_ex(context, out.data() + count, &tail) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kGcmTagSize,
                            out.data() + plain.size()) == 1);
}

bool gcm_open(const Key256& key, const GcmNonce& nonce, ByteView associated, ByteView sealed,
              MutableByteView out) {
  if (sealed.size() < kGcmTagSize || out.size() != sealed.size() - kGcmTagSize) return false;
  EVP_CIPHER_CTX* context = thread_cipher();
  std::array<uint8_t, kGcmTagSize> tag;
  std::copy(sealed.end() - kGcmTagSize, sealed.end(), tag.begin());
  int count = 0;
  CHECK(EVP_DecryptInit_ex2(context, gcm_method(), key.data(), nonce.data(), nullptr) == 1);
  CHECK(EVP_DecryptUpdate(context, nullptr, &count, associated.data(), to_int(associated.size())) ==
        1);
  CHECK(EVP_DecryptUpdate(context, out.data(), &count, sealed.data(), to_int(out.size())) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kGcmTagSize, tag.data()) == 1);
  int tail = 0;
  return EVP_DecryptFinal_ex(context, out.data() + count, &tail) == 1;
}

uint64_t checksum64(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

bool equal_in_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace base
