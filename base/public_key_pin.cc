#include "base/public_key_pin.h"

#include <openssl/evp.h>

#include <array>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/openssl_handles.h"

namespace base {

std::string public_key_pin(std::string_view certificate_pem) {
  UniqueBio input(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  UniqueCertificate certificate(input ? PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr)
                                      : nullptr);
  unsigned char* der = nullptr;
  int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der) : -1;
  if (size <= 0) {
    ERR_clear_error();
    throw Error(ErrorCode::corrupt, "the server's certificate cannot be read");
  }
  Sha256 digest = sha256({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  std::array<unsigned char, 4 * ((32 + 2) / 3) + 1> text{};
  int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return std::string(text.begin(), text.begin() + length);
}

}  // namespace base
