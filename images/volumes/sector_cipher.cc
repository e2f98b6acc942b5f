#include "images/volumes/sector_cipher.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/crypto.h"
#include "base/error.h"

namespace images::volumes {
namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using Iv = std::array<uint8_t, 16>;

[[noreturn]] void refused() {
  throw base::Error(base::ErrorCode::io, "the key of an encrypted volume cannot be used");
}

const EVP_CIPHER* algorithm_of(CipherMode mode, size_t key_size) {
  if (mode == CipherMode::xts) return key_size == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
  return key_size == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
}

Context new_context(const EVP_CIPHER* algorithm, base::ByteView key, bool encrypts) {
  Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  if (!context || EVP_CipherInit_ex(context.get(), algorithm, nullptr, key.data(), nullptr,
                                    encrypts ? 1 : 0) != 1)
    refused();
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  return context;
}

// Makes the IV of each sector. The number of a sector is its own block of AES where it is encrypted.
class IvMaker {
 public:
  explicit IvMaker(const Cipher& cipher) : cipher_(cipher) {
    if (cipher.iv == SectorIv::essiv) {
      base::Sha256 key = base::sha256(cipher.key);
      block_ = new_context(EVP_aes_256_ecb(), key, true);
    } else if (cipher.iv == SectorIv::eboiv) {
      block_ = new_context(cipher.key.size() == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb(),
                           cipher.key, true);
    }
  }

  Iv of(uint64_t offset) {
    Iv iv{};
    uint64_t number = cipher_.first_iv + offset / cipher_.iv_unit;
    if (cipher_.iv == SectorIv::plain) number &= 0xffffffff;
    if (cipher_.iv == SectorIv::eboiv) number *= cipher_.iv_unit;
    base::store_u64(iv.data(), number);
    if (!block_) return iv;
    Iv out{};
    int length = 0;
    if (EVP_CipherUpdate(block_.get(), out.data(), &length, iv.data(),
                         static_cast<int>(iv.size())) != 1)
      refused();
    return out;
  }

 private:
  const Cipher& cipher_;
  Context block_{nullptr, EVP_CIPHER_CTX_free};
};

void convert(const Cipher& cipher, uint64_t offset, base::MutableByteView bytes, bool encrypts) {
  Context context = new_context(algorithm_of(cipher.mode, cipher.key.size()), cipher.key, encrypts);
  IvMaker ivs(cipher);
  for (size_t at = 0; at + cipher.sector_size <= bytes.size(); at += cipher.sector_size) {
    Iv iv = ivs.of(offset + at);
    int length = 0;
    uint8_t* sector = bytes.data() + at;
    if (EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, iv.data(), -1) != 1 ||
        EVP_CipherUpdate(context.get(), sector, &length, sector,
                         static_cast<int>(cipher.sector_size)) != 1)
      refused();
  }
}

}  // namespace

void decrypt_sectors(const Cipher& cipher, uint64_t offset, base::MutableByteView bytes) {
  convert(cipher, offset, bytes, false);
}

void encrypt_sectors(const Cipher& cipher, uint64_t offset, base::MutableByteView bytes) {
  convert(cipher, offset, bytes, true);
}

}  // namespace images::volumes
