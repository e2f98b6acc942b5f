#!/usr/bin/env bash
# timeout: 240
# A state folder is copied, and moved, while an instant VM runs from it: the VM stays the original's. The copy shows it,
# says whose it is, and cannot end it; back in its place, the folder has its VM again.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt

truncate -s 8M "$WORK/alpha.img"
mkdir -p "$WORK/state/stores"
muletto store init "$WORK/state/stores/default" > /dev/null
muletto store import "$WORK/state/stores/default" --machine alpha --disk "vda=$WORK/alpha.img" --format raw > /dev/null
start_appliance
original=$MULETTO_SOCKET
muletto tenant adopt default > /dev/null
muletto boot start alpha@latest --memory 128M --cpus 1 --network none -o json > "$WORK/boot.json"
boot=$(json .boot.id < "$WORK/boot.json")
domain=$(virsh list --name | grep '^muletto-')
runs() { virsh domstate "$domain" | has running; }
state_of() { muletto boot show "$boot" -o json | json .boot.state; }

# Both at once, as after a copy that was meant for a trial.
stop_background mulettod
cp -a "$WORK/state" "$WORK/copy.state"
start_appliance
[ "$(state_of)" = running ] || fail "the original lost its VM"
start_appliance --name copy
muletto boot list > "$WORK/listed"
grep -q "belongs to the state folder that made it, with its files in $WORK/state/vms/$boot" "$WORK/listed" ||
  fail "the copy does not say whose the VM is: $(cat "$WORK/listed")"
wait_until 20 "the log says it" grep -q "left alone: it belongs to the state folder" "$WORK/copy.log"
expect_failure 4 "belongs to the state folder.*remove $WORK/copy.state/vms/$boot" muletto boot stop "$boot" --discard --yes
expect_failure 4 "belongs to the state folder" muletto boot stop "$boot" --keep
expect_failure 4 "belongs to the state folder" muletto boot power "$boot" power-off
expect_failure 4 "belongs to the state folder" muletto boot console "$boot"
expect_failure 4 "belongs to the state folder" muletto boot screenshot "$boot" "$WORK/screen.png"
expect_failure 4 "belongs to the state folder" muletto boot set "$boot" --restart wait
expect_failure 4 "belongs to the state folder" muletto boot pull "$boot"
runs || fail "the copy ended the original's VM"
# As it says.
rm -r "$WORK/copy.state/vms/$boot"
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "the copy still shows it"
stop_background copy
MULETTO_SOCKET=$original
[ "$(state_of)" = running ] || fail "the original's VM suffered"

# Moved: the files that libvirt and the overlays name are not there any more.
stop_background mulettod
mv "$WORK/state" "$WORK/moved.state"
start_appliance --name moved
muletto boot list | has "If that folder was moved, move it back" || fail "no word about the move"
stop_background moved
mv "$WORK/moved.state" "$WORK/state"
start_appliance
[ "$(state_of)" = running ] || fail "the VM is not found again"
runs || fail "the VM does not run"
muletto boot stop "$boot" --discard --yes > /dev/null
! virsh domstate "$domain" 2> /dev/null || fail "the domain is still there"
