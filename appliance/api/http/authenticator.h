// Determines who sent a request. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/api/http/principal.h"
#include "appliance/catalog/host_records.h"
#include "appliance/people/people.h"
#include "base/error.h"

namespace appliance::api {

// What a connection proves about its peer, independent of the request's content.
struct PeerFacts {
  bool local_root = false;  // came through the unix socket, which only root can open
  // Of a client certificate our CA signed; hexadecimal.
  std::optional<std::string> certificate_serial;
  std::string address;  // for the log
};

// What a request says about its sender: values of headers, empty if there is none.
struct RequestProof {
  std::string authorization{};
  std::string cookie{};
  std::string origin{};
  std::string host{};
  // Whether another site's page could do harm by having a browser send it: all but GET and HEAD, and
  // WebSockets.
  bool is_guarded = false;
};

// For a host that was revoked, and no other: agents stop on it eventually.
class HostRevoked : public base::Error {
 public:
  explicit HostRevoked(const std::string& message)
      : Error(base::ErrorCode::unauthorized, message) {}
};

// A browser sent it for a page of another site: 403.
class ForeignOrigin : public base::Error {
 public:
  explicit ForeignOrigin(const std::string& message)
      : Error(base::ErrorCode::unauthorized, message) {}
};

constexpr std::string_view kSessionCookie = "muletto_session";

class Authenticator {
 public:
  // Both outlive it. Without `people` there are no sessions: only for tests.
  explicit Authenticator(catalog::HostRecords& catalog, people::People* people = nullptr)
      : catalog_(catalog), people_(people) {}

  // Who else a secret may belong to than the holder of a token: a rescue session. Call it before the
  // first request.
  using FindGuest = std::function<std::optional<Principal>(std::string_view secret)>;
  void set_guests(FindGuest find) { find_guest_ = std::move(find); }

  // Throws unauthorized for a wrong token and for the certificate of an unknown host, HostRevoked for
  // that of a revoked one, ForeignOrigin. Without credentials, and with the cookie of a session that
  // has ended, the principal is anonymous. The socket counts before a certificate, that before
  // Authorization, that before a cookie.
  Principal authenticate(const PeerFacts& peer, const RequestProof& proof);

 private:
  Principal by_token(std::string_view authorization);
  Principal by_session(const std::string& secret);

  catalog::HostRecords& catalog_;
  FindGuest find_guest_;
  people::People* people_;
};

// The secret in "Bearer SECRET". Throws unauthorized for another scheme.
std::string bearer_secret(std::string_view authorization);

// The value of that cookie in the header Cookie; none: it is not there, or there more than once.
std::optional<std::string> find_cookie(std::string_view header, std::string_view name);

}  // namespace appliance::api
