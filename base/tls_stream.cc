#include "base/tls_stream.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/openssl_handles.h"
#include "base/socket_bio.h"

namespace base {
namespace {

// The sending key is renewed long before AES-GCM's limit of 2^24.5 full records (RFC 8446,
// section 5.5).
constexpr uint64_t kRekeyAfter = 64ull << 30;  // bytes
// One call encrypts at most this much while the lock is held.
constexpr size_t kWritePiece = 64 << 10;

// The outcome of one OpenSSL call, recorded while the lock is held.
struct Attempt {
  size_t count = 0;
  int kind = SSL_ERROR_NONE;
  int reason = 0;        // SSL_R_… of SSL_ERROR_SSL
  int system_error = 0;  // errno of SSL_ERROR_SYSCALL; 0: the peer disconnected
  long verification = X509_V_OK;
};

// Runs `call` (which returns OpenSSL's 1 for success) and records the outcome.
template <typename Call>
Attempt attempt(SSL* ssl, Call call) {
  ERR_clear_error();
  errno = 0;
  Attempt outcome;
  int result = call(outcome.count);
  if (result > 0) return outcome;
  int system_error = errno;
  outcome.kind = SSL_get_error(ssl, result);
  outcome.reason = ERR_GET_REASON(ERR_peek_last_error());
  outcome.system_error = system_error;
  outcome.verification = SSL_get_verify_result(ssl);
  ERR_clear_error();
  return outcome;
}

bool peer_is_gone(const Attempt& failed) {
  if (failed.kind == SSL_ERROR_SSL) return failed.reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  return failed.kind == SSL_ERROR_SYSCALL &&
         (failed.system_error == 0 || failed.system_error == EPIPE ||
          failed.system_error == ECONNRESET);
}

// We checked the peer's certificate and refuse it.
Error refused_peer(long verification, const std::string& peer) {
  auto refuse = [&](std::string_view rest) {
    return Error(ErrorCode::unauthorized, fmt::format("the certificate of {} {}", peer, rest));
  };
  switch (verification) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return refuse("has expired (or the clock of this machine is wrong)");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return refuse("is not valid yet: the clock of one of the two machines is wrong");
    case X509_V_ERR_CERT_REVOKED: return refuse("was revoked");
    case X509_V_ERR_CERT_UNTRUSTED:
      return Error(
          ErrorCode::unauthorized,
          fmt::format(
              "{} does not have the authority with the given fingerprint: it is another "
              "appliance, or someone is intercepting the connection; nothing was sent to it",
              peer));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return refuse("was signed by a foreign authority");
    case X509_V_ERR_INVALID_PURPOSE: return refuse("was issued for another use");
    default:
      return refuse(
          fmt::format("is not acceptable: {}", X509_verify_cert_error_string(verification)));
  }
}

// The peer checked our certificate, or our messages, and sent an alert.
Error refused_by_peer(int reason, const std::string& peer) {
  auto refused = [&](std::string_view why) {
    return Error(ErrorCode::unauthorized,
                 fmt::format("{} refused this side's certificate: {}", peer, why));
  };
  switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: return refused("it has expired");
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: return refused("it was revoked");
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA: return refused("it was signed by a foreign authority");
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      return refused("it is damaged, or not valid yet: compare the two machines' clocks");
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: return refused("it was issued for another use");
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return Error(ErrorCode::unauthorized,
                   peer + " requires a certificate, and this side has none");
    default: return refused("no reason given");
  }
}

bool is_certificate_alert(int reason) {
  constexpr int kAlerts[] = {
      SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
      SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
      SSL_R_TLSV1_ALERT_UNKNOWN_CA,
      SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
      SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
      SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
      SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
      SSL_R_TLSV1_ALERT_ACCESS_DENIED,
  };
  return std::find(std::begin(kAlerts), std::end(kAlerts), reason) != std::end(kAlerts);
}

Error protocol_failure(int reason, const std::string& peer) {
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_BAD_RECORD_TYPE: return Error(ErrorCode::unavailable, peer + " does not speak TLS");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return Error(ErrorCode::unavailable, peer + " does not speak TLS 1.3");
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Error(ErrorCode::unauthorized, peer + " presented no certificate");
    default: {
      const char* text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
      return Error(ErrorCode::corrupt, fmt::format("the TLS connection to {} broke: {}", peer,
                                                   text == nullptr ? "unknown" : text));
    }
  }
}

Error describe_failure(const Attempt& failed, const std::string& peer) {
  if (peer_is_gone(failed)) return Error(ErrorCode::unavailable, peer + " cut the connection");
  if (failed.kind == SSL_ERROR_SYSCALL) {
    return Error(ErrorCode::unavailable, fmt::format("the connection to {} failed: {}", peer,
                                                     std::strerror(failed.system_error)));
  }
  if (failed.reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return refused_peer(failed.verification, peer);
  if (is_certificate_alert(failed.reason)) return refused_by_peer(failed.reason, peer);
  return protocol_failure(failed.reason, peer);
}

class SslStream : public TlsStream {
 public:
  SslStream(UniqueFd fd, UniqueSsl ssl, std::string peer)
      : fd_(std::move(fd)), peer_(std::move(peer)), ssl_(std::move(ssl)) {}

  void handshake(std::chrono::milliseconds timeout) {
    run(timeout, [](SSL* ssl, size_t&) { return SSL_do_handshake(ssl); });
  }

  size_t read_some(MutableByteView out, std::chrono::milliseconds timeout) override {
    Attempt done = run(timeout, [&](SSL* ssl, size_t& count) {
      return SSL_read_ex(ssl, out.data(), out.size(), &count);
    });
    return done.count;  // 0: the peer closed the connection cleanly
  }

  bool wait_readable(std::chrono::milliseconds timeout) override {
    if (SSL_has_pending(ssl_.lock()->get()) == 1) return true;
    return wait_for_socket(fd_.get(), POLLIN, timeout);
  }

  void write_all(ByteView bytes, std::chrono::milliseconds timeout) override {
    while (!bytes.empty()) {
      ByteView piece = bytes.first(std::min(bytes.size(), kWritePiece));
      Attempt done = run(timeout, [&](SSL* ssl, size_t& count) {
        return SSL_write_ex(ssl, piece.data(), piece.size(), &count);
      });
      bytes = bytes.subspan(done.count);
      renew_key_if_due(done.count);
    }
  }

  void finish() noexcept override {
    Guarded<UniqueSsl>::Locked ssl = ssl_.lock();
    ERR_clear_error();
    SSL_shutdown(ssl->get());
    ERR_clear_error();
    ::shutdown(fd_.get(), SHUT_WR);
  }

  void abort() noexcept override {
    aborted_ = true;
    ::shutdown(fd_.get(), SHUT_RDWR);
  }

  const std::string& peer() const override { return peer_; }

  std::optional<CertificateInfo> peer_certificate() const override {
    return peer_certificate_of(ssl_.lock()->get());
  }

 private:
  // Repeats a call until it succeeds. The lock is held for the call, never for the wait: a reader
  // and a writer share the SSL object, which must not be used by two threads at once.
  template <typename Call>
  Attempt run(std::chrono::milliseconds timeout, Call call) {
    for (;;) {
      Attempt outcome;
      {
        Guarded<UniqueSsl>::Locked ssl = ssl_.lock();
        outcome = attempt(ssl->get(), [&](size_t& count) { return call(ssl->get(), count); });
      }
      if (outcome.kind == SSL_ERROR_NONE) return outcome;
      if (aborted_)
        throw Error(ErrorCode::cancelled, "the connection to " + peer_ + " was ended here");
      if (outcome.kind == SSL_ERROR_ZERO_RETURN) return outcome;
      bool wants_input = outcome.kind == SSL_ERROR_WANT_READ;
      if (!wants_input && outcome.kind != SSL_ERROR_WANT_WRITE) fail(outcome);
      if (!wait_for_socket(fd_.get(), wants_input ? POLLIN : POLLOUT, timeout)) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("{} was silent for {:.1f} s", peer_,
                                static_cast<double>(timeout.count()) / 1000));
      }
    }
  }

  [[noreturn]] void fail(const Attempt& failed) {
    if (!peer_is_gone(failed)) throw describe_failure(failed, peer_);
    // A peer that refuses us sends an alert and closes. A thread that is writing only sees that the
    // peer is gone; the alert with the reason may still be there to read.
    Guarded<UniqueSsl>::Locked ssl = ssl_.lock();
    Attempt last = attempt(ssl->get(), [&](size_t& count) {
      uint8_t byte;
      return SSL_peek_ex(ssl->get(), &byte, 1, &count);
    });
    bool told = last.kind == SSL_ERROR_SSL && is_certificate_alert(last.reason);
    throw describe_failure(told ? last : failed, peer_);
  }

  void renew_key_if_due(size_t written) {
    written_ += written;
    if (written_ < kRekeyAfter) return;
    written_ = 0;
    Guarded<UniqueSsl>::Locked ssl = ssl_.lock();
    CHECK(SSL_key_update(ssl->get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
  }

  UniqueFd fd_;
  std::string peer_;
  std::atomic<bool> aborted_{false};
  uint64_t written_ = 0;            // the writer's: bytes since the key was renewed
  mutable Guarded<UniqueSsl> ssl_;  // declared after fd_, which it uses until its end
};

void attach(SSL* ssl, int fd) {
  UniqueBio bio = make_socket_bio(fd);
  CHECK(BIO_up_ref(bio.get()) == 1);
  SSL_set0_rbio(ssl, bio.get());
  SSL_set0_wbio(ssl, bio.release());
}

std::unique_ptr<SslStream> shake_hands(UniqueFd socket, const TlsContext& context, std::string peer,
                                       std::chrono::milliseconds timeout, void (*set_role)(SSL*)) {
  make_socket_non_blocking(socket.get());
  UniqueSsl ssl(SSL_new(context.native()));
  CHECK(ssl != nullptr);
  attach(ssl.get(), socket.get());
  set_role(ssl.get());
  auto stream = std::make_unique<SslStream>(std::move(socket), std::move(ssl), std::move(peer));
  stream->handshake(timeout);
  return stream;
}

}  // namespace

std::unique_ptr<TlsStream> connect_tls(const Endpoint& endpoint, const TlsContext& context,
                                       std::chrono::milliseconds timeout) {
  UniqueFd socket = connect_tcp(endpoint, timeout);
  return shake_hands(std::move(socket), context, endpoint.text(), timeout, SSL_set_connect_state);
}

std::unique_ptr<TlsStream> connect_tls_over(UniqueFd socket, const TlsContext& context,
                                            std::chrono::milliseconds timeout) {
  std::string peer = peer_address(socket.get());
  return shake_hands(std::move(socket), context, std::move(peer), timeout, SSL_set_connect_state);
}

std::unique_ptr<TlsStream> accept_tls(UniqueFd socket, const TlsContext& context,
                                      std::chrono::milliseconds timeout) {
  std::string peer = peer_address(socket.get());
  return shake_hands(std::move(socket), context, std::move(peer), timeout, SSL_set_accept_state);
}

std::unique_ptr<TlsStream> adopt_tls(SSL* ssl, UniqueFd socket) {
  if (BIO_pending(SSL_get_rbio(ssl)) != 0) {
    throw Error(ErrorCode::corrupt, "the client sent bytes before the upgrade was granted");
  }
  CHECK(SSL_up_ref(ssl) == 1);
  UniqueSsl shared(ssl);
  make_socket_non_blocking(socket.get());
  watch_peer(socket.get());
  attach(ssl, socket.get());
  std::string peer = peer_address(socket.get());
  return std::make_unique<SslStream>(std::move(socket), std::move(shared), std::move(peer));
}

std::optional<CertificateInfo> peer_certificate_of(const SSL* ssl) {
  X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return std::nullopt;
  return describe(certificate);
}

}  // namespace base
