#include "base/tls_context.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/openssl_handles.h"

namespace base {
namespace {

// Fewer system calls: several records are read at once. Bytes.
constexpr size_t kReadBuffer = 128 << 10;
// Certificates a peer may present: its own and its authority.
constexpr int kMaxChain = 3;

struct PeerPolicy {
  std::function<bool(const std::string&)> is_revoked;
  std::string authority_fingerprint;
};

void free_policy(void*, void* policy, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<PeerPolicy*>(policy);
}

// Not the context's "app data", which Asio uses for itself.
int policy_slot() {
  static const int slot = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_policy);
  CHECK(slot >= 0);
  return slot;
}

const PeerPolicy* policy_of(X509_STORE_CTX* verification) {
  auto* ssl = static_cast<SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  return static_cast<const PeerPolicy*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), policy_slot()));
}

// OpenSSL's callback for each certificate of a chain. One that is not valid yet is accepted: since
// it exists, this machine's clock must be behind, and no connection may depend on that. OpenSSL
// then continues with its other checks.
int accept_early(int good, X509_STORE_CTX* verification) noexcept {
  if (good == 1 || X509_STORE_CTX_get_error(verification) != X509_V_ERR_CERT_NOT_YET_VALID)
    return good;
  X509_STORE_CTX_set_error(verification, X509_V_OK);
  return 1;
}

// The same for a client's chain, the client's own certificate last.
int refuse_revoked(int good, X509_STORE_CTX* verification) noexcept {
  good = accept_early(good, verification);
  if (good != 1 || X509_STORE_CTX_get_error_depth(verification) != 0) return good;
  const PeerPolicy* policy = policy_of(verification);
  if (policy == nullptr || !policy->is_revoked) return good;
  bool revoked = true;
  try {
    revoked = policy->is_revoked(describe(X509_STORE_CTX_get_current_cert(verification)).serial);
  } catch (...) {
    // If revocation cannot be checked, the certificate is refused; nothing may be thrown through a
    // C callback.
  }
  if (revoked) X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_REVOKED);
  return revoked ? 0 : 1;
}

X509* find_pinned(STACK_OF(X509) * presented, const std::string& fingerprint) {
  for (int i = 0; i < sk_X509_num(presented); ++i) {
    X509* candidate = sk_X509_value(presented, i);
    if (describe(candidate).fingerprint == fingerprint) return candidate;
  }
  return nullptr;
}

// OpenSSL's callback that replaces its own verification: the authority is one of the certificates
// that the server presents, and trusted because of its fingerprint.
int verify_pinned(X509_STORE_CTX* verification, void*) noexcept {
  try {
    X509* authority = find_pinned(X509_STORE_CTX_get0_untrusted(verification),
                                  policy_of(verification)->authority_fingerprint);
    if (authority == nullptr) {
      X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_UNTRUSTED);
      return 0;
    }
    STACK_OF(X509)* trusted = sk_X509_new_null();
    CHECK(trusted != nullptr && sk_X509_push(trusted, authority) > 0);
    X509_STORE_CTX_set0_trusted_stack(verification, trusted);
    int result = X509_verify_cert(verification);
    sk_X509_free(trusted);
    return result == 1 ? 1 : 0;
  } catch (...) {
    X509_STORE_CTX_set_error(verification, X509_V_ERR_UNSPECIFIED);
    return 0;
  }
}

std::shared_ptr<SSL_CTX> make_context(const SSL_METHOD* method, PeerPolicy policy) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  CHECK(SSL_CTX_set_num_tickets(context.get(), 0) == 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), kReadBuffer);
  SSL_CTX_set_verify_depth(context.get(), kMaxChain);
  CHECK(SSL_CTX_set_ex_data(context.get(), policy_slot(), new PeerPolicy(std::move(policy))) == 1);
  return context;
}

void present(SSL_CTX* context, const Credentials& credentials) {
  check_key_matches(credentials);
  UniqueCertificate certificate = parse_certificate(credentials.certificate_pem);
  UniqueKey key = parse_key(credentials.key_pem);
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    throw Error(ErrorCode::invalid_argument,
                "the certificate cannot be used for TLS: " + take_openssl_reason());
  }
}

void trust(SSL_CTX* context, X509* authority) {
  CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1);
}

}  // namespace

TlsContext TlsContext::server(const TlsServerOptions& options) {
  auto context = make_context(TLS_server_method(), PeerPolicy{options.is_revoked, ""});
  present(context.get(), options.credentials);
  UniqueCertificate authority = parse_certificate(options.authority_pem);
  CHECK(SSL_CTX_add1_chain_cert(context.get(), authority.get()) == 1);
  if (options.clients != ClientCertificates::none) {
    trust(context.get(), authority.get());
    CHECK(SSL_CTX_add_client_CA(context.get(), authority.get()) == 1);
    bool required = options.clients == ClientCertificates::required;
    int mode = SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(context.get(), mode, refuse_revoked);
  }
  return TlsContext(std::move(context));
}

TlsContext TlsContext::client(const TlsClientOptions& options) {
  CHECK(options.authority_pem.empty() != options.authority_fingerprint.empty());
  auto context = make_context(TLS_client_method(), PeerPolicy{{}, options.authority_fingerprint});
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, accept_early);
  if (options.authority_pem.empty()) {
    SSL_CTX_set_cert_verify_callback(context.get(), verify_pinned, nullptr);
  } else {
    trust(context.get(), parse_certificate(options.authority_pem).get());
  }
  if (!options.credentials.certificate_pem.empty()) present(context.get(), options.credentials);
  return TlsContext(std::move(context));
}

}  // namespace base
