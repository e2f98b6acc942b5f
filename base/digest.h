// Checksums that other programs wrote beside their files: by OpenSSL, of bytes that arrive in
// pieces. For our own data there is crypto.h. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace base {

enum class DigestKind { md5, sha1, sha256, sha512 };
// From "SHA256", in any case; none: not known.
std::optional<DigestKind> digest_kind_from_name(std::string_view name);

class Digest {
 public:
  // Throws unsupported if OpenSSL has been told to do without it (FIPS).
  explicit Digest(DigestKind kind);
  ~Digest();
  void update(ByteView bytes);
  std::string finish();  // lower-case hexadecimal; once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace base
