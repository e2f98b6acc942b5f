#!/usr/bin/env bash
# timeout: 600
# Instant VMs through mulettod and muletto: start with a wait, what is shown of them, the daemon killed under a
# running VM and started again, a point that is in use, stop; libvirt that goes away and comes back.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt
record_api

state=$WORK/state run=$WORK/run

start_daemon() {
  start_appliance --log-level debug
}

# A store that was made before the appliance is taken by order, with its points.
"$SOURCE/tests/guests/build-guest" "$WORK/alpha.img" --hostname alpha
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
muletto store import "$state/stores/default" --machine alpha --disk "vda=$WORK/alpha.img" --format raw
start_daemon
muletto tenant adopt default > /dev/null
[ "$(muletto machine show alpha -o json | json .machine.point_count)" = 1 ] || fail "the point is not known"
point=$(muletto point show alpha@latest -o json | json .point.id)
expect_failure 4 "in use|writ" muletto store delete "$state/stores/default" alpha@latest

# Start, and wait for the page it serves.
muletto boot start alpha@latest --memory 256M --cpus 1 --network nat --wait --http / --timeout 4m -o json > "$WORK/boot.json"
boot=$(json .boot.id < "$WORK/boot.json")
address=$(json '.boot.addresses[0]' < "$WORK/boot.json")
curl -sf "http://$address/" | has alpha || fail "the wrong page"
[ "$(json .boot.state < "$WORK/boot.json")" = running ] || fail "it does not run"
muletto boot list | has "$boot"
muletto boot show alpha | has "$address"
muletto boot console "$boot" -o json | jq -e '.console.vnc_port > 0 and (.console.password | length) == 8' > /dev/null
muletto boot screenshot "$boot" "$WORK/screen.png"
[ "$(file -b --mime-type "$WORK/screen.png")" = image/png ] || fail "no picture"
[ "$(muletto job list --kind boot -o json | json '.jobs[0].state')" = succeeded ] || fail "no job for the start"
expect_failure 4 "muletto boot pull" muletto point delete "$point"
expect_failure 6 "did not answer" muletto boot wait "$boot" --tcp 9 --timeout 2s

# The daemon dies; the VM does not notice. The next daemon finds it.
sum=$(curl -sf -m 60 "http://$address/cgi-bin/write?invoice:64")
stop_background mulettod KILL
curl -sf -m 60 "http://$address/cgi-bin/sum" | has "$sum" || fail "the VM suffered"
start_daemon
[ "$(muletto boot show "$boot" -o json | json .boot.state)" = running ] || fail "the VM is not taken up"
wait_until 10 "the VM is taken up" grep -q "adopted the instant VM $boot" "$WORK/mulettod.log"
muletto boot wait "$boot" --http /cgi-bin/sum --timeout 1m | has 200

# libvirt goes away: the rest works, and the VM is found again. (Not for a libvirt that is not the test's.)
if [ -z "${MULETTO_LIBVIRT_URI:-}" ]; then
  kill_libvirtd main
  wait_until 20 "libvirt is found again" muletto boot show "$boot"
fi

# Kept, switched on, thrown away.
muletto boot stop "$boot" --keep
[ "$(muletto boot show "$boot" -o json | json .boot.state)" = kept ] || fail "not kept"
expect_failure 4 "kept" muletto boot wait "$boot" --timeout 5s
muletto boot power "$boot" power-on > /dev/null
muletto boot wait "$boot" --http / --timeout 4m
muletto boot stop "$boot" --discard --yes
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "it is still listed"
[ -z "$(pgrep -f "nbdkit .*-U $run/" || true)" ] || fail "an export is left"

# Who stops waiting is told what continues, and how to end it.
expect_failure 2 "no guest can answer" muletto boot start alpha@latest --network none --wait
muletto boot start alpha@latest --memory 256M --cpus 1 --wait --tcp 9 --timeout 5m > "$WORK/waiting.log" 2>&1 &
waiting=$!
wait_until 60 "it waits" sh -c "muletto job list --kind wait --state running -o json | jq -e '.jobs | length > 0'"
kill -INT "$waiting"
status=0
wait "$waiting" || status=$?
[ "$status" -eq 130 ] || fail "status $status after an interruption: $(cat "$WORK/waiting.log")"
boot=$(muletto boot list -o json | json '.boots[0].id')
grep -q "continues in the appliance" "$WORK/waiting.log" && grep -q "muletto boot stop $boot" "$WORK/waiting.log" ||
  fail "$(cat "$WORK/waiting.log")"
muletto job cancel "$(muletto job list --kind wait --state running -o json | json '.jobs[0].id')" > /dev/null
muletto boot stop "$boot" --discard --yes

# Now the point may go.
muletto point delete "$point"
[ "$(muletto point list -o json | json '.points | length')" = 0 ] || fail "the point is still listed"
expect_failure 3 "" muletto boot start "$point"
muletto tenant compact

rss=$(awk '/VmHWM/ {print $2}' "/proc/$(background_pid mulettod)/status")
[ "$rss" -le 262144 ] || fail "mulettod took $rss KiB"
