#include "base/certificates.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <cctype>
#include <ctime>
#include <initializer_list>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/openssl_handles.h"
#include "base/text.h"

namespace base {
namespace {

constexpr char kCurve[] = "prime256v1";
constexpr size_t kMaxCommonName = 64;  // RFC 5280, ub-common-name

UniqueBio text_source(std::string_view pem, std::string_view what) {
  if (pem.size() > kMaxPemSize)
    throw Error(ErrorCode::corrupt, fmt::format("the {} is too large", what));
  UniqueBio source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(source != nullptr);
  return source;
}

std::string text_of(BIO* sink) {
  char* data = nullptr;
  auto size = BIO_get_mem_data(sink, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string to_pem(X509* certificate) {
  UniqueBio sink(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(sink.get(), certificate) == 1);
  return text_of(sink.get());
}

std::string fingerprint_of(X509* certificate) {
  std::array<uint8_t, 32> digest;
  unsigned size = 0;
  CHECK(X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1 && size == digest.size());
  return to_hex(digest);
}

void set_time(ASN1_TIME* time, uint64_t value_ms) {
  CHECK(ASN1_TIME_set(time, static_cast<time_t>(value_ms / 1000)) != nullptr);
}

uint64_t time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  time_t seconds = ::timegm(&parts);
  return seconds < 0 ? 0 : static_cast<uint64_t>(seconds) * 1000;
}

void set_name(X509_NAME* name, const std::string& common_name) {
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  int size = static_cast<int>(common_name.size());
  if (common_name.empty() || common_name.size() > kMaxCommonName ||
      X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text, size, -1, 0) != 1) {
    ERR_clear_error();
    throw Error(ErrorCode::invalid_argument,
                "'" + common_name + "' cannot be a certificate's name");
  }
}

void add_extension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  UniqueExtension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  CHECK(extension != nullptr);
  CHECK(X509_add_ext(certificate, extension.get(), -1) == 1);
}

void add_text_name(GENERAL_NAMES* names, int type, const std::string& value) {
  for (char c : value) {
    if (c <= ' ' || c > '~')
      throw Error(ErrorCode::invalid_argument, "'" + value + "' cannot be in a certificate");
  }
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  CHECK(text != nullptr &&
        ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) == 1);
  GENERAL_NAME* name = GENERAL_NAME_new();
  CHECK(name != nullptr);
  GENERAL_NAME_set0_value(name, type, text);
  CHECK(sk_GENERAL_NAME_push(names, name) > 0);
}

void add_address(GENERAL_NAMES* names, const std::string& value) {
  ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(value.c_str());
  if (bytes == nullptr) {
    ERR_clear_error();
    throw Error(ErrorCode::invalid_argument, "'" + value + "' is not an IP address");
  }
  GENERAL_NAME* name = GENERAL_NAME_new();
  CHECK(name != nullptr);
  GENERAL_NAME_set0_value(name, GEN_IPADD, bytes);
  CHECK(sk_GENERAL_NAME_push(names, name) > 0);
}

// Values are set as objects, never as OpenSSL's configuration text, where a comma would add names.
void add_alternative_names(X509* certificate, const CertificateOptions& options) {
  UniqueNames names(GENERAL_NAMES_new());
  for (const std::string& uri : options.uris) add_text_name(names.get(), GEN_URI, uri);
  for (const std::string& name : options.dns_names) add_text_name(names.get(), GEN_DNS, name);
  for (const std::string& address : options.ip_addresses) add_address(names.get(), address);
  if (sk_GENERAL_NAME_num(names.get()) == 0) return;
  CHECK(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) ==
        1);
}

UniqueCertificate blank_certificate(EVP_PKEY* key, uint64_t not_before_ms, uint64_t not_after_ms) {
  if (not_after_ms <= not_before_ms) {
    throw Error(ErrorCode::invalid_argument, "a certificate must end after it begins");
  }
  UniqueCertificate certificate(X509_new());
  CHECK(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  // 127 random bits with the top one set: always positive, always 16 bytes, never repeated.
  auto random = random_array<16>();
  random[0] = static_cast<uint8_t>((random[0] & 0x7f) | 0x40);
  UniqueBigNumber serial(BN_bin2bn(random.data(), random.size(), nullptr));
  CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr);
  set_time(X509_getm_notBefore(certificate.get()), not_before_ms);
  set_time(X509_getm_notAfter(certificate.get()), not_after_ms);
  CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  return certificate;
}

std::string issue(const Credentials& authority, EVP_PKEY* subject_key,
                  const CertificateOptions& options) {
  UniqueCertificate issuer = parse_certificate(authority.certificate_pem);
  UniqueKey issuer_key = parse_key(authority.key_pem);
  UniqueCertificate certificate =
      blank_certificate(subject_key, options.not_before_ms, options.not_after_ms);
  set_name(X509_get_subject_name(certificate.get()), options.common_name);
  CHECK(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())) == 1);
  bool server = options.use == CertificateUse::server;
  add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  // The extended key usage keeps a stolen client certificate from posing as a server.
  add_extension(certificate.get(), issuer.get(), NID_ext_key_usage,
                server ? "serverAuth" : "clientAuth");
  add_extension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid:always");
  add_alternative_names(certificate.get(), options);
  CHECK(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) > 0);
  return to_pem(certificate.get());
}

bool is_p256(EVP_PKEY* key) {
  char group[32] = {};
  size_t size = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
         std::string_view(group, size) == kCurve;
}

std::string common_name_of(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0) return "";
  unsigned char* text = nullptr;
  int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return name;
}

std::string address_text(const ASN1_OCTET_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  int size = ASN1_STRING_length(bytes);
  const unsigned char* data = ASN1_STRING_get0_data(bytes);
  if (size != 4 && size != 16) return "";
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text);
  return text;
}

void read_alternative_names(X509* certificate, CertificateInfo& info) {
  auto* found = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  UniqueNames names(found);
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_URI && type != GEN_DNS && type != GEN_IPADD) continue;
    if (type == GEN_IPADD) {
      info.ip_addresses.push_back(address_text(value));
      continue;
    }
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<size_t>(ASN1_STRING_length(value)));
    (type == GEN_URI ? info.uris : info.dns_names).push_back(std::move(text));
  }
}

}  // namespace

UniqueCertificate parse_certificate(std::string_view pem) {
  UniqueBio source = text_source(pem, "certificate");
  UniqueCertificate certificate(PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    throw Error(ErrorCode::corrupt, "not a PEM certificate: " + take_openssl_reason());
  }
  return certificate;
}

UniqueKey parse_key(std::string_view pem) {
  UniqueBio source = text_source(pem, "private key");
  // An empty password: without one OpenSSL would ask on the terminal for an encrypted key.
  char no_password[] = "";
  UniqueKey key(PEM_read_bio_PrivateKey(source.get(), nullptr, nullptr, no_password));
  if (key == nullptr)
    throw Error(ErrorCode::corrupt, "not a PEM private key: " + take_openssl_reason());
  return key;
}

CertificateInfo describe(X509* certificate) {
  CertificateInfo info;
  info.common_name = common_name_of(certificate);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  info.serial = to_hex(
      ByteView(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial))));
  read_alternative_names(certificate, info);
  info.not_before_ms = time_of(X509_get0_notBefore(certificate));
  info.not_after_ms = time_of(X509_get0_notAfter(certificate));
  info.fingerprint = fingerprint_of(certificate);
  return info;
}

CertificateOptions valid_from_now(CertificateOptions options, uint64_t lifetime_ms) {
  uint64_t now = now_ms();
  options.not_before_ms = now - kClockTolerance_ms;
  options.not_after_ms = now + lifetime_ms;
  return options;
}

std::string generate_key() {
  UniqueKey key(EVP_EC_gen(kCurve));
  CHECK(key != nullptr);
  UniqueBio sink(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_PKCS8PrivateKey(sink.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                      nullptr) == 1);
  return text_of(sink.get());
}

Credentials create_authority(const std::string& common_name, uint64_t lifetime_ms) {
  Credentials authority{"", generate_key()};
  UniqueKey key = parse_key(authority.key_pem);
  CertificateOptions validity = valid_from_now({}, lifetime_ms);
  UniqueCertificate certificate =
      blank_certificate(key.get(), validity.not_before_ms, validity.not_after_ms);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  set_name(name, common_name);
  CHECK(X509_set_issuer_name(certificate.get(), name) == 1);
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints,
                "critical,CA:TRUE,pathlen:0");
  add_extension(certificate.get(), certificate.get(), NID_key_usage,
                "critical,keyCertSign,cRLSign");
  add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  authority.certificate_pem = to_pem(certificate.get());
  return authority;
}

std::string issue_certificate(const Credentials& authority, const std::string& key_pem,
                              const CertificateOptions& options) {
  UniqueKey key = parse_key(key_pem);
  return issue(authority, key.get(), options);
}

std::string make_signing_request(const std::string& key_pem, const std::string& common_name) {
  UniqueKey key = parse_key(key_pem);
  UniqueRequest request(X509_REQ_new());
  CHECK(request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1);
  set_name(X509_REQ_get_subject_name(request.get()), common_name);
  CHECK(X509_REQ_set_pubkey(request.get(), key.get()) == 1);
  CHECK(X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0);
  UniqueBio sink(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509_REQ(sink.get(), request.get()) == 1);
  return text_of(sink.get());
}

std::string sign_request(const Credentials& authority, const std::string& request_pem,
                         const CertificateOptions& options) {
  if (request_pem.size() > kMaxPemSize) {
    throw Error(ErrorCode::invalid_argument, "the certificate request is too large");
  }
  UniqueBio source = text_source(request_pem, "certificate request");
  UniqueRequest request(PEM_read_bio_X509_REQ(source.get(), nullptr, nullptr, nullptr));
  EVP_PKEY* key = request == nullptr ? nullptr : X509_REQ_get0_pubkey(request.get());
  bool good = key != nullptr && is_p256(key) && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!good) {
    throw Error(ErrorCode::invalid_argument,
                "the certificate request is malformed, or is not signed by a P-256 key of its own");
  }
  return issue(authority, key, options);
}

CertificateInfo describe_certificate(std::string_view certificate_pem) {
  return describe(parse_certificate(certificate_pem).get());
}

std::string certificate_fingerprint(std::string_view certificate_pem) {
  return fingerprint_of(parse_certificate(certificate_pem).get());
}

std::string normalize_fingerprint(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  std::string digits;
  for (char c : text) {
    if (c != ' ') digits.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  if (digits.starts_with(kPrefix)) digits.erase(0, kPrefix.size());
  std::erase(digits, ':');
  try {
    return to_hex(from_hex(digits, 32));
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a fingerprint: it has 64 hexadecimal digits",
                            text.substr(0, 120)));
  }
}

bool is_issued_by(std::string_view certificate_pem, std::string_view authority_pem) {
  UniqueCertificate certificate = parse_certificate(certificate_pem);
  UniqueCertificate authority = parse_certificate(authority_pem);
  bool good = X509_check_issued(authority.get(), certificate.get()) == X509_V_OK &&
              X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) == 1;
  ERR_clear_error();
  return good;
}

void check_key_matches(const Credentials& credentials) {
  UniqueCertificate certificate = parse_certificate(credentials.certificate_pem);
  UniqueKey key = parse_key(credentials.key_pem);
  bool good = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!good)
    throw Error(ErrorCode::invalid_argument, "the private key does not belong to the certificate");
}

}  // namespace base
