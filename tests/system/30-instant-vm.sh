#!/usr/bin/env bash
# timeout: 600
# Instant VMs straight from a point, with the boot service in a program of its own (boot-tool): start, use,
# death of the starter, death of the export, switching on again, stop; nothing is left behind.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs muletto boot-tool nbdkit-muletto-plugin.so
ensure_libvirt

tool() {
  local command=$1
  shift
  boot-tool "$command" "$@" --state "$WORK/state" --run "$WORK/run" --connect "$LIBVIRT_DEFAULT_URI"
}

# field BOOT NAME   prints what `list` says of it.
field() {
  tool list 2> /dev/null | jq -r --arg boot "$1" --arg name "$2" 'select(.boot == $boot)[$name]'
}

exports() {
  pgrep -f "nbdkit .*-U $WORK/run/" || true
}

nothing_left() {
  [ -z "$(virsh list --all --name | grep muletto-)" ] && [ -z "$(exports)" ] \
    && [ -z "$(ls "$WORK/state/vms" "$WORK/run/vms" | grep -v :)" ]
}

# The networks are made by the service, with names of its own; the last user takes them away.
on_exit sh -c "virsh -c '$LIBVIRT_DEFAULT_URI' list --name | grep muletto- | xargs -rn1 virsh -c '$LIBVIRT_DEFAULT_URI' destroy"

"$SOURCE/tests/guests/build-guest" "$WORK/alpha.img" --hostname alpha
"$SOURCE/tests/guests/build-guest" "$WORK/ulf.img" --hostname ulf --firmware uefi
muletto store init "$WORK/store"
muletto store import "$WORK/store" --machine alpha --disk "vda=$WORK/alpha.img"
muletto store import "$WORK/store" --machine ulf --disk "vda=$WORK/ulf.img"

# The starter is killed while the VM runs: the VM does not notice, and the next one takes it up.
start_background starter boot-tool start alpha@latest --store "$WORK/store" --memory 256M --network nat --hold \
  --state "$WORK/state" --run "$WORK/run" --connect "$LIBVIRT_DEFAULT_URI"
wait_until 30 "the VM is started" grep -q '"boot"' "$WORK/starter.log"
boot=$(grep -o '{"boot".*' "$WORK/starter.log" | json .boot)
stop_background starter KILL
address=$(tool wait "$boot" --timeout 180s | cut -d' ' -f1)
report=$(tool adopt)
[ "$(json '.running[0]' <<< "$report")" = "$boot" ] || fail "it was not taken up: $report"
[ "$(json '.cleaned | length' <<< "$report")" = 0 ] || fail "it cleaned a running VM: $report"
curl -sf "http://$address/" | has alpha || fail "the wrong page"
sum=$(curl -sf -m 60 "http://$address/cgi-bin/write?invoice:64")
[ "$(field "$boot" state)" = running ] || fail "state $(field "$boot" state)"
[ "$(field "$boot" websocket_port)" -gt 0 ] || fail "no websocket for the console"
grep -q READY "$(field "$boot" serial_log)" || fail "the serial log does not have the guest's words"
tool screenshot "$boot" "$WORK/screen.png"
[ "$(file -b --mime-type "$WORK/screen.png")" = image/png ] || fail "no picture"

# The export dies: the guest waits, and continues when it is back.
kill -9 "$(exports)"
wait_until 10 "the export is gone" test -z "$(exports)"
tool tend
curl -sf -m 90 "http://$address/cgi-bin/sum" | has "$sum" || fail "the file is damaged"
[ "$(field "$boot" state)" = running ] || fail "not running after the export came back"

# Kept and switched on again, it has what was written.
tool stop "$boot" --keep
[ -z "$(exports)" ] || fail "the export of a kept VM runs"
[ "$(field "$boot" state)" = kept ] || fail "state $(field "$boot" state), not kept"
tool power "$boot" power-on
address=$(tool wait "$boot" --timeout 180s | cut -d' ' -f1)
curl -sf -m 60 "http://$address/cgi-bin/sum" | has "$sum" || fail "the overlay was lost"
tool stop "$boot" --shutdown 30
nothing_left || fail "something is left: $(find "$WORK/state" "$WORK/run"; exports; virsh list --all)"

# UEFI is found from the partition table.
boot=$(tool start ulf@latest --store "$WORK/store" --memory 256M --network isolated | json .boot)
tool wait "$boot" --timeout 240s
tool stop "$boot"
nothing_left || fail "something is left of the UEFI guest"

# A disk of 1 TiB starts as fast as a small one.
truncate -s 1T "$WORK/alpha.img"
muletto store import "$WORK/store" --machine large --disk "vda=$WORK/alpha.img"
started=$(tool start large@latest --store "$WORK/store" --memory 256M --network none)
[ "$(json .start_ms <<< "$started")" -lt 2000 ] || fail "1 TiB took $(json .start_ms <<< "$started") ms"
tool stop large
nothing_left || fail "something is left of the large guest"

# What cannot be: refused in a sentence, nothing left.
expect_failure 2 "no bridge 'nowhere0'" tool start alpha@latest --store "$WORK/store" --network bridge:nowhere0
expect_failure 2 "4.0 TiB of memory" tool start alpha@latest --store "$WORK/store" --memory 4T
expect_failure 6 "libvirt" boot-tool start alpha@latest --store "$WORK/store" --state "$WORK/state" --run "$WORK/run" \
  --connect "qemu:///system?socket=$WORK/nobody"
nothing_left || fail "something is left of a refused start"
