#include "appliance/api/routes/account_rules.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::api {
namespace {

[[noreturn]] void refuse(const std::string& words) {
  throw base::Error(base::ErrorCode::unauthorized, words);
}

bool reaches(const Principal& principal, const std::optional<access::TenantName>& tenant) {
  return tenant ? principal.scope.sees(*tenant) : principal.scope.is_all();
}

}  // namespace

bool is_self(const Principal& principal, const catalog::User& user) {
  return principal.session && principal.name == "user " + user.name;
}

void require_may_give(const Principal& principal, access::UserRole role,
                      const std::optional<access::TenantName>& tenant) {
  if (!reaches(principal, tenant))
    refuse(fmt::format("{} may not reach beyond its own tenant", principal.name));
  if (!principal.privileges.include(access::privileges_of(role)))
    refuse(fmt::format("{} may not give the role {}: that role may do more than {} may",
                       principal.name, access::user_role_name(role), principal.name));
}

void require_may_change(const Principal& principal, const catalog::User& user) {
  require_privilege(principal, access::Privilege::user_change);
  if (!reaches(principal, user.tenant) ||
      !principal.privileges.include(access::privileges_of(user.role)))
    refuse(fmt::format("{} may not change '{}', who is {} {}", principal.name, user.name,
                       user.role == access::UserRole::owner ? "an" : "of the role",
                       access::user_role_name(user.role)));
}

}  // namespace appliance::api
