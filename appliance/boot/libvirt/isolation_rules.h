// Keeps VMs of isolated networks away from this host. libvirt lets nothing through such a network's
// bridge, but the host has an address on it, because DHCP and the appliance's own probes come from
// there, and would answer any request of a VM. Rules of iptables, in one chain for all isolated
// networks, which are recognised by the names of their bridges: answers to what the host requested
// and DHCP pass, everything else is rejected. Thread-safe.
#pragma once

namespace appliance::boot::libvirt {

// The prefix of the names of isolated networks' bridges.
inline constexpr char kIsolatedBridgePrefix[] = "muli";

// In effect when it returns, until the host restarts or its firewall is reloaded; does nothing, and
// returns false, if they are already complete. Rules for IPv4 and for IPv6. Throws unavailable,
// with the program's error message.
bool guard_isolated_bridges();

// The same while there is an isolated bridge: to be called every few seconds, since a firewall that
// is reloaded drops rules that are not its own.
bool keep_guarding_isolated_bridges();

// Removes the rules if no isolated bridge is left. Failures are only logged: rules for bridges that
// do not exist do no harm.
void release_isolated_bridges();

}  // namespace appliance::boot::libvirt
