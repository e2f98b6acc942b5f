#include "agent/libvirt/kept_domain.h"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <memory>

#include "agent/libvirt/errors.h"
#include "base/error.h"

namespace agent::libvirt {
namespace {

struct Closer {
  void operator()(virDomainPtr domain) const { ::virDomainFree(domain); }
};
using DomainHandle = std::unique_ptr<virDomain, Closer>;

// Null if there is none.
DomainHandle find(virConnectPtr connection, const std::string& name) {
  DomainHandle domain(::virDomainLookupByName(connection, name.c_str()));
  if (!domain) domain.reset(::virDomainLookupByUUIDString(connection, name.c_str()));
  if (domain) return domain;
  virErrorPtr error = ::virGetLastError();
  bool is_absent =
      error != nullptr && (error->code == VIR_ERR_NO_DOMAIN || error->code == VIR_ERR_INVALID_ARG);
  if (!is_absent) throw last_error(fmt::format("cannot look for the machine '{}'", name));
  return nullptr;
}

}  // namespace

KeptDomains::KeptDomains(const std::string& uri) {
  if (uri.empty())
    throw base::Error(base::ErrorCode::unsupported, "this host's agent uses no libvirt");
  virConnectPtr connection = ::virConnectOpen(uri.c_str());
  if (connection == nullptr) throw last_error("cannot connect to libvirt at " + uri);
  connection_.reset(connection, ::virConnectClose);
}

KeptDomain KeptDomains::look(const std::string& name) const {
  KeptDomain seen{name, false, false};
  DomainHandle domain = find(connection_.get(), name);
  if (!domain) return seen;
  int active = ::virDomainIsActive(domain.get()), autostart = 0;
  if (active < 0) throw last_error(fmt::format("cannot ask whether '{}' runs", name));
  seen.running = active == 1;
  // A transient domain has none.
  if (::virDomainGetAutostart(domain.get(), &autostart) == 0) seen.autostart = autostart == 1;
  return seen;
}

void KeptDomains::set_autostart(const std::string& name, bool on) const {
  DomainHandle domain = find(connection_.get(), name);
  if (!domain) {
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no machine '{}'", name));
  }
  if (::virDomainSetAutostart(domain.get(), on ? 1 : 0) != 0)
    throw last_error(fmt::format("cannot switch the autostart of '{}'", name));
}

void KeptDomains::end(const std::string& name) const {
  DomainHandle domain = find(connection_.get(), name);
  if (!domain || ::virDomainIsActive(domain.get()) != 1) return;
  if (::virDomainDestroy(domain.get()) != 0 && ::virDomainIsActive(domain.get()) == 1)
    throw last_error(fmt::format("cannot end '{}'", name));
}

}  // namespace agent::libvirt
