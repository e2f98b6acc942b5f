// What a restore needs of libvirt: what the host has, whether a machine runs, its end, its definition
// and its start. Functions throw base::Error with libvirt's message in it; thread-safe.
#pragma once

#include <chrono>
#include <set>
#include <stop_token>
#include <string>

namespace agent::libvirt {

struct HostInventory {
  std::set<std::string> networks;
  std::set<std::string> names;  // of domains
  std::set<std::string> uuids;
};
HostInventory host_inventory(const std::string& uri);

// Defines a domain that does not exist yet. Throws already_exists.
void define_domain(const std::string& uri, const std::string& xml);
void start_domain(const std::string& uri, const std::string& name);
// Asks the guest to shut down, and returns when the domain is off. Throws unavailable after `patience`,
// cancelled.
void shut_down_domain(const std::string& uri, const std::string& name,
                      std::chrono::milliseconds patience, std::stop_token stop);
// Removes the definition of a domain that is off; its files stay.
void undefine_domain(const std::string& uri, const std::string& name);

}  // namespace agent::libvirt
