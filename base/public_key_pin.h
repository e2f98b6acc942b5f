// A server's public key as curl pins it: curl --pinnedpubkey sha256//PIN. Pure function; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Base64 of the SHA-256 of the first certificate's SubjectPublicKeyInfo in DER (RFC 7469, section 2.4).
// Throws corrupt for what is no certificate.
std::string public_key_pin(std::string_view certificate_pem);

}  // namespace base
