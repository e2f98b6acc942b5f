// Keeps VMs of isolated networks away from this host. libvirt lets nothing through such a network's
// bridge, but the host has an address on it, since DHCP and the appliance's own questions come from
// there, and would answer whatever a VM asks. Rules of iptables, one chain for all isolated
// networks, known by how their bridges are named: answers to what the host asked and DHCP pass,
// everything else is rejected. Thread-safe.
#pragma once

namespace appliance::boot::libvirt {

// How the names of isolated networks' bridges begin.
inline constexpr char kIsolatedBridgePrefix[] = "muli";

// In force when it returns, until the host restarts or somebody reloads its firewall; does
// nothing, and returns false, if they are whole already. Rules of IPv4 and of IPv6. Throws
// unavailable, with the program's own words.
bool guard_isolated_bridges();

// The same while there is an isolated bridge: to be called every few seconds, since a firewall that
// is reloaded forgets rules that are not its own.
bool keep_guarding_isolated_bridges();

// Takes the rules away if no isolated bridge is left. Failures are logged only: rules for bridges
// that do not exist do no harm.
void release_isolated_bridges();

}  // namespace appliance::boot::libvirt
