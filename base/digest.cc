#include "base/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cctype>

#include "base/check.h"
#include "base/error.h"

namespace base {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

std::optional<DigestKind> digest_kind_from_name(std::string_view name) {
  std::string upper;
  for (char each : name) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  if (upper == "MD5") return DigestKind::md5;
  if (upper == "SHA1") return DigestKind::sha1;
  if (upper == "SHA256") return DigestKind::sha256;
  if (upper == "SHA512") return DigestKind::sha512;
  return std::nullopt;
}

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* method = kind == DigestKind::md5      ? EVP_md5()
                         : kind == DigestKind::sha1   ? EVP_sha1()
                         : kind == DigestKind::sha256 ? EVP_sha256()
                                                      : EVP_sha512();
  CHECK(state_->context != nullptr);
  if (EVP_DigestInit_ex(state_->context, method, nullptr) != 1)
    throw Error(ErrorCode::unsupported, "this machine's OpenSSL does not allow that checksum");
}

Digest::~Digest() = default;

void Digest::update(ByteView bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  std::array<uint8_t, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, sum.data(), &size) == 1);
  return to_hex(ByteView(sum).first(size));
}

}  // namespace base
