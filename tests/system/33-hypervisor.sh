#!/usr/bin/env bash
# timeout: 200
# The contract of the Hypervisor interface, which a unit test runs on the one in memory, on libvirt and QEMU.
. "$(dirname "$0")/lib.sh"

require_commands virsh qemu-system-x86_64
require_programs unit_tests
[ "$(id -u)" -eq 0 ] || skip "not root: no libvirt of its own"
start_libvirt contract
MULETTO_TEST_LIBVIRT=$(libvirt_uri contract) "$BIN/unit_tests" "[libvirt]"
