#include "appliance/access/privilege.h"

#include <array>

namespace appliance::access {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, kPrivilegeCount> kNames{"none",
                                                               "host-work",
                                                               "status-view",
                                                               "machine-view",
                                                               "machine-sync",
                                                               "machine-protect",
                                                               "machine-assign",
                                                               "machine-forget",
                                                               "machine-import",
                                                               "point-view",
                                                               "point-hold",
                                                               "point-delete",
                                                               "host-restore",
                                                               "point-restore",
                                                               "policy-view",
                                                               "policy-change",
                                                               "vm-view",
                                                               "vm-start",
                                                               "vm-stop",
                                                               "vm-change",
                                                               "vm-power",
                                                               "vm-pull",
                                                               "vm-console",
                                                               "verification-view",
                                                               "verification-start",
                                                               "verification-change",
                                                               "report-view",
                                                               "report-create",
                                                               "job-view",
                                                               "job-cancel",
                                                               "alert-view",
                                                               "alert-acknowledge",
                                                               "alert-test",
                                                               "channel-view",
                                                               "channel-change",
                                                               "metrics-view",
                                                               "host-view",
                                                               "host-revoke",
                                                               "host-forget",
                                                               "token-view",
                                                               "token-create",
                                                               "token-revoke",
                                                               "store-view",
                                                               "store-check",
                                                               "store-compact",
                                                               "store-recompute",
                                                               "tenant-view",
                                                               "tenant-create",
                                                               "tenant-change",
                                                               "tenant-adopt",
                                                               "clock-view",
                                                               "clock-accept",
                                                               "file-view",
                                                               "file-download",
                                                               "point-fetch",
                                                               "own-account",
                                                               "user-view",
                                                               "user-change",
                                                               "owner-change",
                                                               "audit-view"};

}  // namespace

std::string_view privilege_name(Privilege privilege) {
  return kNames[static_cast<size_t>(privilege)];
}

Privileges Privileges::all() {
  Privileges all;
  all.bits_.set();
  return all;
}

Privileges Privileges::in_common(const Privileges& others) const {
  Privileges common;
  common.bits_ = bits_ & others.bits_;
  return common;
}

std::vector<std::string> Privileges::names() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < kPrivilegeCount; ++i) {
    if (bits_[i]) names.emplace_back(kNames[i]);
  }
  return names;
}

}  // namespace appliance::access
