// The appliance's certificate authority, in a folder of its own (files 0600, folder 0700):
//   ca.crt ca.key          made at the first start, valid for 20 years; agents know its fingerprint
//   server.crt server.key  presented by the daemon; replaced when its names change or it expires
//   soon
// Losing ca.key would disconnect every agent, so a folder with one half of the authority is an
// error and is never replaced.
//
// The catalog knows which certificates are revoked, not this class: server_context() asks.
// Thread-safe once open.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/certificates.h"
#include "base/tls_context.h"

namespace appliance::pki {

struct ServerNames {
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;

  bool operator==(const ServerNames&) const = default;
};

// localhost, this machine's name, and the addresses of its interfaces, without duplicates, in a
// stable order, plus `public_host` (a name or an address; may be empty).
ServerNames local_server_names(const std::string& public_host);

struct HostCertificate {
  std::string certificate_pem;
  std::string serial;  // lower-case hexadecimal
  uint64_t not_after_ms = 0;
};

// Throws unavailable if the folder's authority is missing, cannot be read, or is not the one with
// that fingerprint (empty: any). Changes nothing.
void require_authority(const std::string& directory, const std::string& fingerprint);
// Enrolment is done once. An agent that fell silent because a date passed would be the very failure
// that this product exists to prevent; certificates are ended early by revocation.
constexpr uint64_t kHostLifetime_ms = 10ull * 365 * 24 * 3600 * 1000;
// An agent renews its certificate in the second half of this time, and not before, so that a thief
// cannot prolong a stolen one at once.
constexpr uint64_t kHostRenewal_ms = kHostLifetime_ms / 2;

class Authority {
 public:
  // Opens the folder's authority, or creates it if the folder is new or empty. Durable when it
  // returns. Throws corrupt (half of it is missing, or damaged), unauthorized, io.
  static std::unique_ptr<Authority> open(const std::string& directory, const ServerNames& names);

  const std::string& certificate_pem() const { return authority_.certificate_pem; }
  // 64 hexadecimal digits: the argument of `muletto-agent enroll --fingerprint`.
  const std::string& fingerprint() const { return fingerprint_; }

  // The key of the certificate that server_context() presents, as curl pins it
  // (base/public_key_pin.h).
  std::string server_pin() const;

  // When the authority's own certificate expires, and the server's; milliseconds since 1970 in UTC.
  uint64_t authority_end_ms() const;
  uint64_t server_end_ms() const;

  // A certificate for an agent's key: common name `host_id` (hexadecimal), URI
  // "muletto:host:HOST_ID", for clients only, valid for ten years, but not longer than the
  // authority. Throws invalid_argument for a bad request.
  HostCertificate sign_host(const std::string& request_pem, const std::string& host_id) const;

  // The daemon's TLS context: client certificates are optional (people connect without), but one
  // that is presented must be valid. `is_revoked`: see base::TlsServerOptions.
  base::TlsContext server_context(std::function<bool(const std::string& serial)> is_revoked) const;

 private:
  Authority(base::Credentials authority, base::Credentials server);

  base::Credentials authority_;
  base::Credentials server_;
  std::string fingerprint_;
};

}  // namespace appliance::pki
