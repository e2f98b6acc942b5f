// What a TLS endpoint presents and whom it trusts. TLS 1.3 only, without session resumption: every
// connection presents its certificates again, so that a revoked or expired one is refused at once.
//
// Peers are authenticated by who signed them, not by DNS names: an appliance has its own authority
// and may be reached under any name or address. A client's certificate cannot pose as a server's
// because of its extended key usage.
//
// A certificate that is not valid yet is accepted: only a clock that is behind says so. An expired
// one is refused; certificates are issued for ten years and more.
//
// A TlsContext is immutable and thread-safe; copies share one SSL_CTX. For Asio:
//   SSL_CTX_up_ref(context.native()); boost::asio::ssl::context shared(context.native());
#pragma once

#include <openssl/types.h>

#include <functional>
#include <memory>
#include <string>

#include "base/certificates.h"

namespace base {

enum class ClientCertificates {
  none,      // not requested
  optional,  // one that is presented must be valid; without one the connection is anonymous
  required,
};

struct TlsServerOptions {
  Credentials credentials;    // the server's own
  std::string authority_pem;  // also sent, for clients that pin its fingerprint; signs the clients
  ClientCertificates clients = ClientCertificates::optional;
  // Called with the serial of each client certificate that is otherwise valid; true refuses it.
  // Called during handshakes, by any thread, must be quick; a throw also refuses it. May be empty.
  std::function<bool(const std::string& serial)> is_revoked;
};

struct TlsClientOptions {
  // Exactly one of the two: the authority that signs the server, or its fingerprint (as
  // normalize_fingerprint() gives it), for which the server presents the authority itself.
  std::string authority_pem;
  std::string authority_fingerprint;
  Credentials credentials;  // the client's own; both empty: anonymous
};

class TlsContext {
 public:
  // Both throw corrupt for PEM that cannot be read, and invalid_argument if a key does not belong
  // to its certificate.
  static TlsContext server(const TlsServerOptions& options);
  static TlsContext client(const TlsClientOptions& options);

  SSL_CTX* native() const { return context_.get(); }

 private:
  explicit TlsContext(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}
  std::shared_ptr<SSL_CTX> context_;
};

}  // namespace base
