// What a caller may do within its scope (tenant_scope.h). Each route of the API names the one
// privilege that it needs; roles are sets of privileges. Values; thread-safe.
#pragma once

#include <bitset>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::access {

// A closed set: a new one needs its word in privilege.cc.
enum class Privilege {
  none,       // no credentials: for what is public, and for requests that bring their own proof
  host_work,  // what an agent does for its host: sync, poll, renew its certificate
  status_view,
  machine_view,
  machine_sync,
  machine_protect,
  machine_assign,
  machine_forget,
  machine_import,
  point_view,
  point_hold,
  point_delete,
  host_restore,
  point_restore,  // read a point's disks, write them to a folder of the appliance
  policy_view,
  policy_change,
  vm_view,
  vm_start,
  vm_stop,
  vm_change,
  vm_power,
  vm_pull,
  vm_console,
  verification_view,
  verification_start,
  verification_change,
  report_view,
  report_create,
  job_view,
  job_cancel,
  alert_view,
  alert_acknowledge,
  alert_test,
  channel_view,  // through which people are notified of alerts
  channel_change,
  metrics_view,
  host_view,
  host_revoke,
  host_forget,
  token_view,
  token_create,
  token_revoke,
  store_view,
  store_check,
  store_compact,
  store_recompute,
  tenant_view,
  tenant_create,
  tenant_change,
  tenant_adopt,
  clock_view,
  clock_accept,
  file_view,      // names and facts of files in points
  file_download,  // their content
  point_fetch,    // list points and read them whole, for a restore elsewhere
  own_account,    // its own session, password and second factor: everybody who has signed in
  user_view,      // users, and everybody's sessions
  user_change,
  owner_change,  // users with the role owner, and the code that makes the first one
  audit_view,
};
constexpr size_t kPrivilegeCount = static_cast<size_t>(Privilege::audit_view) + 1;

std::string_view privilege_name(Privilege privilege);  // "vm-start"

class Privileges {
 public:
  Privileges() = default;  // none
  Privileges(std::initializer_list<Privilege> list) {
    for (Privilege each : list) add(each);
  }
  static Privileges all();

  // Privilege::none is always included.
  bool has(Privilege privilege) const {
    return privilege == Privilege::none || bits_[static_cast<size_t>(privilege)];
  }
  void add(Privilege privilege) { bits_.set(static_cast<size_t>(privilege)); }
  void remove(Privilege privilege) { bits_.reset(static_cast<size_t>(privilege)); }

  // Whether all of `others` are among them.
  bool include(const Privileges& others) const { return (others.bits_ & ~bits_).none(); }
  // Those that both have.
  Privileges in_common(const Privileges& others) const;
  std::vector<std::string> names() const;  // in the order of the enum

 private:
  std::bitset<kPrivilegeCount> bits_;
};

}  // namespace appliance::access
