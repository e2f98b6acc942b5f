#include "appliance/access/user_role.h"

#include "base/enum_names.h"

namespace appliance::access {
namespace {

using P = Privilege;

constexpr auto kRoles =
    base::enum_names<UserRole>("a role", {{UserRole::owner, "owner"},
                                          {UserRole::administrator, "administrator"},
                                          {UserRole::technician, "technician"},
                                          {UserRole::auditor, "auditor"},
                                          {UserRole::tenant_operator, "tenant-operator"},
                                          {UserRole::tenant_viewer, "tenant-viewer"}});

// A new privilege is nobody's but the owner's and the administrator's until it is named here.
Privileges viewer() {
  return {P::own_account, P::status_view, P::machine_view, P::point_view, P::policy_view,
          P::vm_view,     P::job_view,    P::alert_view,   P::host_view,  P::verification_view,
          P::report_view, P::store_view,  P::tenant_view,  P::clock_view, P::metrics_view};
}

void add(Privileges& privileges, std::initializer_list<Privilege> more) {
  for (Privilege each : more) privileges.add(each);
}

Privileges tenant_operator() {
  Privileges privileges = viewer();
  add(privileges, {P::machine_sync, P::point_hold, P::point_restore, P::host_restore, P::vm_start,
                   P::vm_stop, P::vm_change, P::vm_power, P::vm_pull, P::vm_console,
                   P::verification_start, P::verification_change, P::report_create, P::job_cancel,
                   P::alert_acknowledge, P::file_view, P::file_download, P::point_fetch});
  return privileges;
}

}  // namespace

std::string_view user_role_name(UserRole role) { return kRoles.name(role); }
UserRole user_role_from_name(std::string_view name) { return kRoles.value(name); }

bool is_tenants_own(UserRole role) {
  return role == UserRole::tenant_operator || role == UserRole::tenant_viewer;
}

Privileges privileges_of(UserRole role) {
  Privileges privileges;
  switch (role) {
    case UserRole::owner:
    case UserRole::administrator:
      privileges = Privileges::all();
      privileges.remove(P::none);
      privileges.remove(P::host_work);  // no person is a host
      if (role == UserRole::administrator) privileges.remove(P::owner_change);
      return privileges;
    case UserRole::technician:
      privileges = tenant_operator();
      add(privileges,
          {P::machine_protect, P::machine_assign, P::machine_import, P::alert_test, P::host_revoke,
           P::token_view, P::token_create, P::store_check, P::channel_view});
      return privileges;
    case UserRole::auditor:
      privileges = viewer();
      add(privileges, {P::token_view, P::user_view, P::audit_view, P::channel_view});
      return privileges;
    case UserRole::tenant_operator: return tenant_operator();
    case UserRole::tenant_viewer: return viewer();
  }
  return privileges;
}

}  // namespace appliance::access
