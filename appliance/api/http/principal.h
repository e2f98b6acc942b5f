// Who asks, and what a route demands of him. Values.
#pragma once

#include <optional>
#include <string>

#include "appliance/catalog/records.h"

namespace appliance::api {

enum class Role {
  anonymous,  // a stranger on the TLS port
  agent,      // a host, known by its certificate
  admin,      // root on this machine's socket, or the bearer of an operator's token
};

struct Principal {
  Role role = Role::anonymous;
  std::optional<catalog::Host> host;  // of an agent
  std::optional<std::string> tenant;  // whose things alone the token is for; none: everybody's
  std::string name;                   // for the log: "root", "token 1a2b…", "host alpha"
};

// What a route lets in.
enum class Access {
  anyone,          // the handler checks (enrolment: a one-time token)
  agents,          // hosts that are not revoked
  operators,       // admins; those of one tenant see and change nothing but that tenant's
  whole_appliance  // admins who are not for one tenant alone
};

// Throws unauthorized with a sentence that says what is missing.
void expect_access(const Principal& principal, Access access);

}  // namespace appliance::api
