// For tests: an authority with certificates, a listener on a port the system picks, and two
// connected TLS streams over loopback. Not thread-safe.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/tls_stream.h"

namespace tests {

constexpr uint64_t kHour_ms = 3600 * 1000;

// An authority with what it signs.
class Authority {
 public:
  Authority() : credentials_(base::create_authority("test authority", 24 * kHour_ms)) {}

  const base::Credentials& credentials() const { return credentials_; }
  const std::string& pem() const { return credentials_.certificate_pem; }

  base::Credentials issue(base::CertificateOptions options) const {
    std::string key = base::generate_key();
    return {base::issue_certificate(credentials_, key, options), key};
  }
  base::Credentials server() const {
    base::CertificateOptions options;
    options.common_name = "appliance";
    options.use = base::CertificateUse::server;
    return issue(base::valid_from_now(options, kHour_ms));
  }
  base::Credentials client(const std::string& name = "agent") const {
    base::CertificateOptions options;
    options.common_name = name;
    options.uris = {"muletto:agent:" + name};
    return issue(base::valid_from_now(options, kHour_ms));
  }

  base::TlsServerOptions server_options() const {
    return {server(), pem(), base::ClientCertificates::required, {}};
  }
  base::TlsClientOptions client_options() const { return {pem(), "", client()}; }

 private:
  base::Credentials credentials_;
};

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_.get(), generic, size) != 0 || ::listen(fd_.get(), 16) != 0 ||
        ::getsockname(fd_.get(), generic, &size) != 0) {
      throw base::system_error(errno, "cannot listen");
    }
    endpoint_ = {"127.0.0.1", ntohs(address.sin_port)};
  }

  const base::Endpoint& endpoint() const { return endpoint_; }
  base::UniqueFd accept() {
    base::UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) throw base::system_error(errno, "cannot accept");
    return fd;
  }

 private:
  base::UniqueFd fd_;
  base::Endpoint endpoint_;
};

struct TlsPair {
  std::unique_ptr<base::TlsStream> client;
  std::unique_ptr<base::TlsStream> server;
};

inline TlsPair connect_pair(const base::TlsContext& server, const base::TlsContext& client) {
  Listener listener;
  auto accepted =
      std::async(std::launch::async, [&] { return base::accept_tls(listener.accept(), server); });
  TlsPair pair;
  pair.client = base::connect_tls(listener.endpoint(), client);
  pair.server = accepted.get();
  return pair;
}

}  // namespace tests
