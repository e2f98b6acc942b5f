// The roles that users and operators' tokens have: each is a set of privileges (privilege.h).
// docs/access.md is normative for the sets. Values; thread-safe.
#pragma once

#include <string_view>

#include "appliance/access/privilege.h"

namespace appliance::access {

enum class UserRole {
  owner,          // everything
  administrator,  // everything but the owners
  technician,     // daily work; removes nothing and changes no rules
  auditor,        // sees everything but the content of machines, and the audit log; changes nothing
  tenant_operator,  // a client's own: daily work on the machines of one tenant
  tenant_viewer,    // a client's own: sees one tenant
};

std::string_view user_role_name(UserRole role);       // "tenant-operator"
UserRole user_role_from_name(std::string_view name);  // throws invalid_argument
// Whether users of this role belong to one tenant.
bool is_tenants_own(UserRole role);
Privileges privileges_of(UserRole role);

}  // namespace appliance::access
