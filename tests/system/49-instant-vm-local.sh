#!/usr/bin/env bash
# timeout: 400
# An instant VM moves onto local storage while it runs: the daemon and the export are killed on the way, the move
# continues; afterwards it needs neither export nor point, and its disk is what it was.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt

state=$WORK/state run=$WORK/run

start_daemon() {
  start_appliance --log-level debug
}
exports() {
  pgrep -f "nbdkit .*-U $run/" || true
}

# A boot disk, and one of random bytes that no guest writes to: it must be the same in the end.
"$SOURCE/tests/guests/build-guest" "$WORK/alpha.img" --hostname alpha
head -c 100M /dev/urandom > "$WORK/data.img"
truncate -s 320M "$WORK/data.img"
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
muletto store import "$state/stores/default" --machine alpha --disk "vda=$WORK/alpha.img" --disk "vdb=$WORK/data.img"
start_daemon
muletto tenant adopt default > /dev/null
muletto boot start alpha@latest --memory 256M --network nat --wait --http / --timeout 4m -o json > "$WORK/boot.json"
boot=$(json .boot.id < "$WORK/boot.json") point=$(json .boot.point < "$WORK/boot.json")
address=$(json '.boot.addresses[0]' < "$WORK/boot.json")
sum=$(curl -sf -m 60 "http://$address/cgi-bin/write?invoice:64")
[ -n "$(find "$state/traces" -name '*.trace' 2> /dev/null)" ] || wait_until 10 "the boot's trace is kept" \
  sh -c "ls $state/traces/*.trace"

# Slowly, so that there is time: cancelled, the VM runs as before and still needs its point.
job=$(muletto boot pull "$boot" --bandwidth 4M --background -o json | json .job.id)
pulling() {
  muletto boot show "$boot" -o json | jq -e '.boot.pulling == true'
}
copying() {
  virsh blockjob "$(json .boot.domain < "$WORK/boot.json")" "$state/vms/$boot/overlay-vdb.qcow2" --raw | has cur=
}
wait_until 20 "it is being moved" pulling
wait_until 20 "QEMU copies" copying
muletto job cancel "$job"
wait_until 20 "the job is cancelled" sh -c "muletto job show $job -o json | jq -e '.job.state == \"cancelled\"'"
wait_until 20 "it is not being moved" sh -c "muletto boot show $boot -o json | jq -e '.boot.pulling == false'"
! copying || fail "QEMU copies on after the cancel"
expect_failure 4 "needs this point" muletto point delete "$point"

# Daemon and export are killed in the middle; the next daemon starts the export again and takes up the pull.
muletto boot pull "$boot" --bandwidth 16M --background > /dev/null
wait_until 20 "QEMU copies" copying
stop_background mulettod KILL
kill -9 "$(exports)"
start_daemon
wait_until 30 "the pull is taken up" sh -c "muletto job list --kind pull -o json | jq -e '.jobs[0].state == \"running\"'"
# At once, or begun again by the pull once the export is back.
wait_until 20 "QEMU copies on" copying
curl -sf -m 60 "http://$address/cgi-bin/sum" | has "$sum" || fail "the guest suffered"
wait_until 90 "it is local" sh -c "muletto boot show $boot -o json | jq -e .boot.local"
[ -z "$(exports)" ] || fail "the export still runs"
[ "$(muletto job list --kind pull -o json | json '.jobs[0].state')" = succeeded ] || fail "the job did not succeed"
[ "$(muletto boot pull "$boot" -o json | json .job.state)" = succeeded ] || fail "a second pull fails"

# It lives without export and point, also after its power was cut.
curl -sf -m 60 "http://$address/cgi-bin/sum" | has "$sum" || fail "the guest has lost its disk"
muletto point delete "$point"
muletto tenant compact > /dev/null
[ -z "$(find "$state/traces" -name '*.trace')" ] || fail "the trace outlived the machine's last point"
muletto boot power "$boot" power-off > /dev/null
muletto boot power "$boot" power-on > /dev/null
muletto boot wait "$boot" --http /cgi-bin/sum --timeout 4m > /dev/null
address=$(muletto boot show "$boot" -o json | json '.boot.addresses[0]')
curl -sf -m 60 "http://$address/cgi-bin/sum" | has "$sum" || fail "a flushed write is lost"
muletto boot stop "$boot" --keep > /dev/null
qemu-img info --output json "$state/vms/$boot/overlay-vdb.qcow2" | jq -e '."backing-filename" == null' > /dev/null \
  || fail "the overlay still has something below it"
qemu-img compare -q -f raw -F qcow2 "$WORK/data.img" "$state/vms/$boot/overlay-vdb.qcow2" || fail "the disk differs"
used=$(du -m "$state/vms/$boot/overlay-vdb.qcow2" | cut -f1)
[ "$used" -lt 120 ] || fail "100 MiB of data take $used MiB"
muletto boot stop "$boot" --discard --yes
[ -z "$(ls "$state/vms")" ] || fail "something is left"
