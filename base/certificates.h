// X.509 certificates of a private certificate authority: create it, issue certificates, sign
// requests, inspect certificates. Everything is PEM text in and out, so that callers need no
// OpenSSL types. EC keys on P-256, SHA-256 signatures; formats: RFC 5280 (certificates), RFC 2986
// (signing requests), RFC 5958 (private keys). All functions are thread-safe, and pure except for
// randomness. Errors: corrupt for PEM that cannot be read, invalid_argument for options that make
// no valid certificate.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace base {

// The largest PEM text of a key, certificate, chain or request. Bytes.
constexpr size_t kMaxPemSize = 32768;

// Certificates are valid from a day before they are issued: the peer's clock may be behind.
constexpr uint64_t kClockTolerance_ms = 24ull * 3600 * 1000;

struct Credentials {
  std::string certificate_pem;
  std::string key_pem;  // a secret
};

enum class CertificateUse { server, client };

struct CertificateOptions {
  std::string common_name;  // 1 to 64 characters
  CertificateUse use = CertificateUse::client;
  // Subject alternative names; any may be empty.
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  uint64_t not_before_ms = 0;  // UTC, since 1970
  uint64_t not_after_ms = 0;
};

// `not_before_ms` kClockTolerance_ms before now and `not_after_ms` `lifetime_ms` after it.
CertificateOptions valid_from_now(CertificateOptions options, uint64_t lifetime_ms);

struct CertificateInfo {
  std::string common_name;
  std::string serial;  // lower-case hexadecimal; unique within its authority
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  uint64_t not_before_ms = 0;
  uint64_t not_after_ms = 0;
  std::string fingerprint;  // as certificate_fingerprint()
};

// A new private key.
std::string generate_key();

// A self-signed authority that can sign end certificates but no further authorities.
Credentials create_authority(const std::string& common_name, uint64_t lifetime_ms);

// Issues a certificate for the holder of `key_pem`, signed by `authority`.
std::string issue_certificate(const Credentials& authority, const std::string& key_pem,
                              const CertificateOptions& options);

// A request that proves possession of the key; the private key is not in it.
std::string make_signing_request(const std::string& key_pem, const std::string& common_name);

// Issues a certificate for the key in the request. Only the key is taken from the request: every
// name and usage comes from `options`. Throws invalid_argument if the request is malformed, does
// not prove possession of its key, or the key is not EC P-256.
std::string sign_request(const Credentials& authority, const std::string& request_pem,
                         const CertificateOptions& options);

// Describes the first certificate in the text.
CertificateInfo describe_certificate(std::string_view certificate_pem);

// SHA-256 of the first certificate's DER form, 64 lower-case hexadecimal digits.
std::string certificate_fingerprint(std::string_view certificate_pem);

// The digits of a fingerprint as people type it (upper case, colons, spaces, the prefix "SHA256:").
// Throws invalid_argument unless that leaves 64 hexadecimal digits.
std::string normalize_fingerprint(std::string_view text);

// True if the authority's key signed the certificate. Does not check dates.
bool is_issued_by(std::string_view certificate_pem, std::string_view authority_pem);

// Throws invalid_argument unless the key belongs to the certificate.
void check_key_matches(const Credentials& credentials);

}  // namespace base
