// Determines who sent a request. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/api/http/principal.h"
#include "appliance/catalog/host_records.h"
#include "base/error.h"

namespace appliance::api {

// What a connection proves about its peer, independent of the request's content.
struct PeerFacts {
  bool local_root = false;  // came through the unix socket, which only root can open
  // Of a client certificate our CA signed; hexadecimal.
  std::optional<std::string> certificate_serial;
  std::string address;  // for the log
};

// For a host that was revoked, and no other: agents stop on it eventually.
class HostRevoked : public base::Error {
 public:
  explicit HostRevoked(const std::string& message)
      : Error(base::ErrorCode::unauthorized, message) {}
};

class Authenticator {
 public:
  explicit Authenticator(catalog::HostRecords& catalog) : catalog_(catalog) {}

  // Who else a secret may belong to than the holder of a token: a rescue session. Call it before the
  // first request.
  using FindGuest = std::function<std::optional<Principal>(std::string_view secret)>;
  void set_guests(FindGuest find) { find_guest_ = std::move(find); }

  // `authorization` is the header's value, empty if there is none. Throws unauthorized for a wrong
  // token and for the certificate of an unknown host, HostRevoked for that of a revoked one;
  // without either the principal is anonymous.
  Principal authenticate(const PeerFacts& peer, std::string_view authorization);

 private:
  catalog::HostRecords& catalog_;
  FindGuest find_guest_;
};

// The secret in "Bearer SECRET". Throws unauthorized for another scheme.
std::string bearer_secret(std::string_view authorization);

}  // namespace appliance::api
