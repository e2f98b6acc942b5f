// Who may do what with whose account: nobody gives, changes or takes away more than he has himself.
// Functions of values; thread-safe.
#pragma once

#include <optional>

#include "appliance/access/user_role.h"
#include "appliance/api/http/http.h"
#include "appliance/catalog/people_records.h"

namespace appliance::api {

// Whether the request comes from a session of that very user, and not from a token of his.
bool is_self(const Principal& principal, const catalog::User& user);

// Throws unauthorized unless the role can do only what the principal can do as well, and only in
// tenants that he sees; none: all tenants.
void require_may_give(const Principal& principal, access::UserRole role,
                      const std::optional<access::TenantName>& tenant);

// For changing or removing the user: the same for the role that he has.
void require_may_change(const Principal& principal, const catalog::User& user);

}  // namespace appliance::api
