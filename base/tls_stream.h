// A ByteStream over TLS. See tls_context.h for who is trusted.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <string>

#include "base/byte_stream.h"
#include "base/certificates.h"
#include "base/socket_stream.h"
#include "base/tls_context.h"
#include "base/unique_fd.h"

namespace base {

class TlsStream : public ByteStream {
 public:
  // The certificate that the peer proved to hold; none for an anonymous client.
  virtual std::optional<CertificateInfo> peer_certificate() const = 0;
};

// Connects and completes the handshake. Throws unavailable (no answer, not TLS, the peer died) or
// unauthorized with a sentence about whose certificate is expired or foreign. A server that refuses
// our certificate says so only later: then the first read or write throws unauthorized.
std::unique_ptr<TlsStream> connect_tls(const Endpoint& endpoint, const TlsContext& context,
                                       std::chrono::milliseconds timeout = kConnectTimeout);

// Completes the handshake over a connected stream socket, as client or as server.
std::unique_ptr<TlsStream> connect_tls_over(UniqueFd socket, const TlsContext& context,
                                            std::chrono::milliseconds timeout = kHandshakeTimeout);
std::unique_ptr<TlsStream> accept_tls(UniqueFd socket, const TlsContext& context,
                                      std::chrono::milliseconds timeout = kHandshakeTimeout);

// Takes over a connection whose handshake was done by other code, such as a
// boost::asio::ssl::stream after a 101 response:
//   adopt_tls(stream.native_handle(), UniqueFd(stream.next_layer().release()))
// Shares ownership of `ssl` and gives it a new transport; its former owner may only destroy it. No
// byte from the peer may be buffered outside `ssl`: an upgrading client must wait for the 101
// before it sends more, and one that does not is disconnected with corrupt. For plaintext that was
// already read, see with_prefix().
std::unique_ptr<TlsStream> adopt_tls(SSL* ssl, UniqueFd socket);

// For connections of other owners.
std::optional<CertificateInfo> peer_certificate_of(const SSL* ssl);

}  // namespace base
