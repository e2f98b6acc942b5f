// What a TLS endpoint presents and whom it trusts. TLS 1.3 only, without session resumption: every
// connection shows its certificates anew, so that a revoked or expired one is refused at once.
//
// Peers are authenticated by who signed them, not by DNS names: an appliance has its own authority
// and may be reached under any name or address. What keeps a client's certificate from posing as a
// server is its extended key usage.
//
// A certificate that is not valid yet is accepted: only a clock that is behind says so. One that
// has expired is refused; they are made for ten years and more.
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
  none,      // not asked for
  optional,  // one that is presented must be good; without one the connection is anonymous
  required,
};

struct TlsServerOptions {
  Credentials credentials;  // the server's own
  std::string
      authority_pem;  // is sent along, for clients that pin its fingerprint; signs the clients
  ClientCertificates clients = ClientCertificates::optional;
  // Asked with the serial of each client certificate that is otherwise good; true refuses it.
  // Called within handshakes, by any thread, must be quick; a throw refuses too. May be empty.
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
