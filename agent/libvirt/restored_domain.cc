#include "agent/libvirt/restored_domain.h"

#include <fmt/format.h>
#include <libvirt/libvirt.h>

#include <cstdlib>
#include <memory>

#include "agent/libvirt/errors.h"
#include "base/guarded_thread.h"

namespace agent::libvirt {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::milliseconds kLookEvery{500};
constexpr std::chrono::seconds kAskAgain{30};  // guests that were not listening yet

struct Closer {
  void operator()(virConnectPtr connection) const { ::virConnectClose(connection); }
  void operator()(virDomainPtr domain) const { ::virDomainFree(domain); }
};
using ConnectionHandle = std::unique_ptr<virConnect, Closer>;
using DomainHandle = std::unique_ptr<virDomain, Closer>;

ConnectionHandle connect(const std::string& uri) {
  ConnectionHandle connection(::virConnectOpen(uri.c_str()));
  if (!connection) throw last_error("cannot connect to libvirt at " + uri);
  return connection;
}

DomainHandle find(virConnectPtr connection, const std::string& name) {
  DomainHandle domain(::virDomainLookupByName(connection, name.c_str()));
  if (!domain) throw last_error(fmt::format("cannot find the machine '{}'", name));
  return domain;
}

}  // namespace

HostInventory host_inventory(const std::string& uri) {
  ConnectionHandle connection = connect(uri);
  HostInventory inventory;
  virNetworkPtr* networks = nullptr;
  int count = ::virConnectListAllNetworks(connection.get(), &networks, 0);
  if (count < 0) throw last_error("cannot list networks");
  for (int i = 0; i < count; ++i) {
    inventory.networks.insert(::virNetworkGetName(networks[i]));
    ::virNetworkFree(networks[i]);
  }
  std::free(networks);
  virDomainPtr* domains = nullptr;
  count = ::virConnectListAllDomains(connection.get(), &domains, 0);
  if (count < 0) throw last_error("cannot list domains");
  for (int i = 0; i < count; ++i) {
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    inventory.names.insert(::virDomainGetName(domains[i]));
    if (::virDomainGetUUIDString(domains[i], uuid) == 0) inventory.uuids.insert(uuid);
    ::virDomainFree(domains[i]);
  }
  std::free(domains);
  return inventory;
}

void define_domain(const std::string& uri, const std::string& xml) {
  ConnectionHandle connection = connect(uri);
  DomainHandle domain(
      ::virDomainDefineXMLFlags(connection.get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
  if (!domain) throw last_error("libvirt does not take the restored machine's definition");
}

void start_domain(const std::string& uri, const std::string& name) {
  ConnectionHandle connection = connect(uri);
  if (::virDomainCreate(find(connection.get(), name).get()) != 0)
    throw last_error(fmt::format("cannot start '{}'", name));
}

void shut_down_domain(const std::string& uri, const std::string& name,
                      std::chrono::milliseconds patience, std::stop_token stop) {
  ConnectionHandle connection = connect(uri);
  DomainHandle domain = find(connection.get(), name);
  auto begin = std::chrono::steady_clock::now(), asked = begin - kAskAgain;
  while (::virDomainIsActive(domain.get()) == 1) {
    auto now = std::chrono::steady_clock::now();
    if (now - asked >= kAskAgain && ::virDomainShutdown(domain.get()) != 0 &&
        ::virDomainIsActive(domain.get()) == 1)
      throw last_error(fmt::format("cannot shut down '{}'", name));
    if (now - asked >= kAskAgain) asked = now;
    if (now - begin > patience) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("'{}' does not shut down; end it yourself, and order again", name));
    }
    if (!base::sleep_unless_stopped(stop, kLookEvery))
      throw Error(ErrorCode::cancelled, "it was cancelled");
  }
}

void undefine_domain(const std::string& uri, const std::string& name) {
  ConnectionHandle connection = connect(uri);
  if (::virDomainUndefineFlags(find(connection.get(), name).get(),
                               VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) != 0)
    throw last_error(fmt::format("cannot take back the definition of '{}'", name));
}

}  // namespace agent::libvirt
