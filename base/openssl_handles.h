// OpenSSL objects that free themselves, and OpenSSL's error queue as text. For the .cc files of
// this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace base {

template <auto kFree>
struct OpenSslDeleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using UniqueBio = std::unique_ptr<BIO, OpenSslDeleter<BIO_free>>;
using UniqueKey = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using UniqueCertificate = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using UniqueRequest = std::unique_ptr<X509_REQ, OpenSslDeleter<X509_REQ_free>>;
using UniqueExtension = std::unique_ptr<X509_EXTENSION, OpenSslDeleter<X509_EXTENSION_free>>;
using UniqueNames = std::unique_ptr<GENERAL_NAMES, OpenSslDeleter<GENERAL_NAMES_free>>;
using UniqueBigNumber = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_free>>;
using UniqueSsl = std::unique_ptr<SSL, OpenSslDeleter<SSL_free>>;

// The newest reason in this thread's queue; empties the queue.
inline std::string take_openssl_reason() {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

// Throws corrupt unless the text is a certificate and at most kMaxPemSize long.
UniqueCertificate parse_certificate(std::string_view pem);
UniqueKey parse_key(std::string_view pem);

struct CertificateInfo;
CertificateInfo describe(X509* certificate);

}  // namespace base
