// The caller's identity, and the access a route requires. Values.
#pragma once

#include <optional>
#include <string>

#include "appliance/access/tenant_scope.h"
#include "appliance/catalog/records.h"

namespace appliance::api {

enum class Role {
  anonymous,  // no credentials, on the TLS port
  agent,      // a host, identified by its certificate
  admin,      // root on this machine's socket, or the bearer of an operator's token
};

struct Principal {
  Role role = Role::anonymous;
  std::optional<catalog::Host> host;  // of an agent
  access::TenantScope scope;          // the tenants it may see and change; anonymous: none
  std::string name;                   // "root", "token 1a2b…", "host alpha"; anonymous: empty
};

// The access that a route requires.
enum class Access {
  anyone,          // the handler checks (enrolment: a one-time token)
  agents,          // hosts that are not revoked
  operators,       // admins; those of one tenant see and change only that tenant
  whole_appliance  // admins who are not limited to one tenant
};

// Throws unauthorized with a sentence that says what is missing.
void expect_access(const Principal& principal, Access access);

}  // namespace appliance::api
