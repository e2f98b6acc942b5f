// The caller's identity, and the access a route requires. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "appliance/access/privilege.h"
#include "appliance/access/tenant_scope.h"
#include "appliance/access/user_role.h"
#include "appliance/catalog/people_records.h"
#include "appliance/catalog/records.h"
#include "base/error.h"

namespace appliance::api {

enum class Role {
  anonymous,  // no credentials, on the TLS port
  agent,      // a host, identified by its certificate
  rescue,     // a computer that is being restored, with a session of a rescue code
  admin,      // root on this machine's socket, a user's session, the bearer of an operator's token
};

struct Principal {
  Role role = Role::anonymous;
  access::Privileges privileges;      // what it may do within its scope
  std::optional<catalog::Host> host;  // of an agent
  access::TenantScope scope;          // the tenants it may see and change; anonymous: none
  // "root", "user anna", "token 1a2b…", "host alpha"; anonymous: empty.
  std::string name;
  access::UserRole user_role = access::UserRole::owner;  // of Role::admin
  std::optional<catalog::SessionId> session{};           // of who signed in
  std::optional<catalog::UserId> user{};  // who it is, or who made the token; none: root
  // A session's cookie was sent, and the session has ended: it is anonymous now.
  bool session_has_ended = false;
  // Of an operator whose connection was handed over for an import: into which tenant.
  std::optional<access::TenantName> imports_into{};
  // Of a rescue session: its number, and the only machines whose points it may read.
  uint64_t rescue = 0;
  std::set<std::string> rescued_machines{};
  // Of a connection that was handed over to read a point.
  struct Fetch {
    access::TenantName tenant;
    std::string point;
  };
  std::optional<Fetch> fetches{};
};

// The request has no credentials: the answer (401) asks for them.
class MissingCredentials : public base::Error {
 public:
  explicit MissingCredentials(const std::string& message)
      : Error(base::ErrorCode::unauthorized, message) {}
};

// Throws MissingCredentials if the principal is anonymous and unauthorized otherwise, with a
// sentence that says what is missing.
void require_privilege(const Principal& principal, access::Privilege needed);

}  // namespace appliance::api
