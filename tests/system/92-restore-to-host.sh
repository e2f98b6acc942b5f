#!/usr/bin/env bash
# Restore to a host through its agent: orders, what travels, in place, interrupted, refused, and what a thief of
# a certificate reads. Disks only; 93-restore-machine.sh defines and boots one.
# timeout: 600
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore muletto-parse
require_commands jq qemu-storage-daemon qemu-img

state=$WORK/state
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
mkdir "$WORK/images" "$WORK/elsewhere"

# 64 MiB, a third of it zeros.
make_disk() {  # make_disk FILE
  truncate -s 64M "$1"
  head -c 40M /dev/urandom | dd of="$1" bs=1M seek=8 conv=notrunc status=none
}
make_disk "$WORK/web.raw"
make_disk "$WORK/vdb.raw"
write_agent_config alpha "web=$WORK/web.raw"
sed -i "s|^images = .*|images = { vda = \"$WORK/web.raw\", vdb = \"$WORK/vdb.raw\" }|" "$WORK/alpha.toml"
sed -i "1i restore_directories = [\"$WORK/images\"]" "$WORK/alpha.toml"
enroll_agent alpha --config "$WORK/alpha.toml" > /dev/null
write_agent_config beta "own=$WORK/web.raw"
enroll_agent beta --config "$WORK/beta.toml" > /dev/null
start_background alpha muletto-agent run --config "$WORK/alpha.toml"
muletto-agent sync web --config "$WORK/alpha.toml" --quiet > /dev/null
point=$(muletto point list --machine web -o json | json '.points[0].id')
cp --sparse=always "$WORK/web.raw" "$WORK/web.first"
cp --sparse=always "$WORK/vdb.raw" "$WORK/vdb.first"

to_alpha() { muletto restore to-host "$point" alpha "$@"; }
figure() { json ".job.figures.$1" < "$WORK/job"; }

echo "a full restore, as qcow2 and as raw files"
to_alpha --folder "$WORK/images" > "$WORK/log" || fail "$(cat "$WORK/log")"
grep -F "disk vda: $WORK/images/web-vda.qcow2" "$WORK/log" > /dev/null || fail "$(cat "$WORK/log")"
qemu-img check -q "$WORK/images/web-vda.qcow2"
qemu-img compare -q -f qcow2 -F raw "$WORK/images/web-vda.qcow2" "$WORK/web.first" || fail "vda differs"
qemu-img compare -q -f qcow2 -F raw "$WORK/images/web-vdb.qcow2" "$WORK/vdb.first" || fail "vdb differs"
to_alpha --disk vda --target "vda=$WORK/images/one.raw" --format raw --verify all -o json > "$WORK/job" || fail "$(cat "$WORK/job")"
cmp "$WORK/images/one.raw" "$WORK/web.first" || fail "one.raw differs"
[ "$(figure verified)" = 67108864 ] || fail "not read back: $(cat "$WORK/job")"
[ "$(stat -c %b "$WORK/images/one.raw")" -lt $((45 * 2048)) ] || fail "zeros take space"
full=$(figure received)

echo "in place after 5 % changed: only that travels"
for at in 9 20 41; do
  head -c 1M /dev/urandom | dd of="$WORK/web.raw" bs=1M seek=$at conv=notrunc status=none
done
expect_failure 2 "overwrite" to_alpha --in-place
to_alpha --in-place --survey -o json > "$WORK/job"
[ "$(figure differing)" = $((3 << 20)) ] || fail "the survey says $(cat "$WORK/job")"
cmp -s "$WORK/web.raw" "$WORK/web.first" && fail "a survey wrote"
to_alpha --in-place --overwrite web -o json > "$WORK/job"
cmp "$WORK/web.raw" "$WORK/web.first" || fail "web.raw is not the point"
cmp "$WORK/vdb.raw" "$WORK/vdb.first" || fail "vdb.raw is not the point"
[ "$(figure written)" = $((3 << 20)) ] || fail "written: $(cat "$WORK/job")"
[ "$(figure received)" -lt $((4 << 20)) ] || fail "received: $(cat "$WORK/job")"
echo "full: $full bytes received for one disk; 5 %: $(figure received) for both"
# qcow2, where it is.
qemu-io -f qcow2 -c "write -P 7 10M 1M" "$WORK/images/web-vda.qcow2" > /dev/null
expect_failure 1 "holds data" to_alpha --disk vda --target "vda=$WORK/images/web-vda.qcow2"
to_alpha --disk vda --target "vda=$WORK/images/web-vda.qcow2" --overwrite web -o json > "$WORK/job"
qemu-img compare -q -f qcow2 -F raw "$WORK/images/web-vda.qcow2" "$WORK/web.first" || fail "vda differs"
[ "$(figure written)" = $((1 << 20)) ] || fail "written: $(cat "$WORK/job")"
qemu-img check -q "$WORK/images/web-vda.qcow2"

# The same noun as all other restores.
muletto restore list > "$WORK/list"
has "host alpha" "$WORK/list" || fail "$(cat "$WORK/list")"
muletto restore show "$(json .job.id < "$WORK/job")" -o json > "$WORK/restore"
[ "$(json .restore.saved < "$WORK/restore")" = $((63 << 20)) ] || fail "saved: $(cat "$WORK/restore")"
[ "$(json .restore.target.name < "$WORK/restore")" = alpha ] || fail "target: $(cat "$WORK/restore")"

echo "what no host lets be written"
for path in "$WORK/elsewhere/x" /etc/passwd; do
  expect_failure 1 "may not be written" to_alpha --disk vda --target "vda=$path"
done
for path in "$WORK/images/../elsewhere/x" relative "$WORK/images//x"; do
  expect_failure 2 "not an absolute path" to_alpha --disk vda --target "vda=$path"
done
ln -s "$WORK/elsewhere" "$WORK/images/link"
ln -s /etc/passwd "$WORK/images/file-link"
expect_failure 1 "may not be written" to_alpha --disk vda --target "vda=$WORK/images/link/x"
expect_failure 1 "may not be written" to_alpha --disk vda --target "vda=$WORK/images/file-link" --overwrite web
[ -z "$(ls -A "$WORK/elsewhere")" ] || fail "something was written elsewhere"
expect_failure 3 "disk" to_alpha --disk nothing --folder "$WORK/images"
expect_failure 1 "no folder" to_alpha --disk vda --target "vda=$WORK/images/none/x"

echo "never the wrong disk"
mkfs.ext4 -q "$WORK/images/foreign.raw" 64M 2> /dev/null
sum=$(sha256sum < "$WORK/images/foreign.raw")
expect_failure 1 "holds ext4" to_alpha --disk vda --target "vda=$WORK/images/foreign.raw" --format raw
[ "$(sha256sum < "$WORK/images/foreign.raw")" = "$sum" ] || fail "a refused target was written"
qemu-img create -q -f qcow2 "$WORK/images/small.qcow2" 32M
expect_failure 1 "does not fit" to_alpha --disk vda --target "vda=$WORK/images/small.qcow2"
qemu-img create -q -f qcow2 "$WORK/images/used.qcow2" 64M
start_background user qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$WORK/images/used.qcow2" \
  --blockdev driver=qcow2,node-name=q,file=f --nbd-server "addr.type=unix,addr.path=$WORK/user.sock" \
  --export type=nbd,id=e,node-name=q,writable=on
wait_until 10 "it is in use" test -S "$WORK/user.sock"
expect_failure 1 "in use" to_alpha --disk vda --target "vda=$WORK/images/used.qcow2" --overwrite web
stop_background user
if loop=$(losetup --find --show "$WORK/images/foreign.raw" 2> /dev/null); then
  on_exit losetup --detach "$loop"
  sed -i "s|^restore_directories = .*|restore_directories = [\"$WORK/images\", \"$loop\"]|" "$WORK/alpha.toml"
  mkdir "$WORK/mounted"
  mount "$loop" "$WORK/mounted"
  on_exit umount "$WORK/mounted"
  expect_failure 1 "in use.*mounted" to_alpha --disk vda --target "vda=$loop" --overwrite web
  umount "$WORK/mounted"
  expect_failure 1 "holds ext4" to_alpha --disk vda --target "vda=$loop"
  expect_failure 1 "another disk" to_alpha --disk vda --target "vda=$loop" --overwrite web
  to_alpha --disk vda --target "vda=$loop" --overwrite web --erase-foreign > /dev/null
  cmp -n 67108864 "$loop" "$WORK/web.first" || fail "the device is not the disk"
else
  echo "no loop devices here: block devices are not tried"
fi

echo "the agent is killed in the middle, and continues"
rm -f "$WORK/images/"*.qcow2
muletto restore to-host "$point" alpha --disk vda --target "vda=$WORK/images/slow.raw" --format raw \
  --bandwidth 4M --background -o json > "$WORK/job"
job=$(json .job.id < "$WORK/job")
enough() { [ "$(muletto job show "$job" -o json | json '.job.figures.written // 0')" -gt 8000000 ]; }
wait_until 60 "a part is written" enough
stop_background alpha KILL
[ -e "$WORK/images/slow.raw" ] && fail "an unfinished file has its name"
[ -e "$WORK/images/slow.raw.muletto-restoring" ] || fail "no unfinished file"
start_background alpha muletto-agent run --config "$WORK/alpha.toml"
muletto job follow "$job" > "$WORK/log" || fail "$(cat "$WORK/log")"
grep "given again" "$WORK/log" > /dev/null || fail "$(cat "$WORK/log")"
muletto job show "$job" -o json > "$WORK/job"
cmp "$WORK/images/slow.raw" "$WORK/web.first" || fail "slow.raw differs"
[ "$(figure written)" -lt $((33 << 20)) ] || fail "it began anew: $(cat "$WORK/job")"

echo "a failed restore is an alert until one to the same host succeeds, or somebody has heard"
alerts() { muletto alert list -o json | json '[.alerts[] | select(.kind == "restore-failed")] | length'; }
are_alerts() { [ "$(alerts)" = "$1" ]; }
wait_until 30 "no alert after a success" are_alerts 0
expect_failure 1 "may not be written" to_alpha --disk vda --target "vda=/etc/passwd"
wait_until 30 "the alert" are_alerts 1
muletto alert list | has "'web' to the host alpha" || fail "$(muletto alert list)"
to_alpha --disk vda --target "vda=$WORK/images/slow.raw" --format raw --survey > /dev/null
to_alpha --disk vda --target "vda=$WORK/images/slow.raw" --format raw --overwrite web > /dev/null
wait_until 30 "it is over" are_alerts 0
expect_failure 1 "may not be written" to_alpha --disk vda --target "vda=/etc/passwd"
wait_until 30 "the alert" are_alerts 1
muletto alert ack "$(muletto alert list -o json | json '[.alerts[] | select(.kind == "restore-failed")][0].id')" > /dev/null
wait_until 30 "it was heard" are_alerts 0

echo "cancelled: the process ends, and so does the ticket"
muletto restore to-host "$point" alpha --disk vda --target "vda=$WORK/images/cut.raw" --format raw \
  --bandwidth 1M --background -o json > "$WORK/job"
job=$(json .job.id < "$WORK/job")
running() { [ "$(muletto job show "$job" -o json | json '.job.figures.written // 0')" -gt 0 ]; }
wait_until 60 "it runs" running
ticket=$(json .ticket < "$(ls "$WORK/alpha.run/restores/"*.order)")
muletto job cancel "$job"
wait_until 30 "it has ended" expect_failure 130 "cancel" muletto job follow "$job"
nothing_left() { ls -A "$WORK/alpha.run/restores" && [ -z "$(ls -A "$WORK/alpha.run/restores")" ]; }
wait_until 30 "nothing of it is left" nothing_left

echo "what a thief of a certificate reads: nothing"
for host in alpha beta; do
  json .certificate < "$WORK/$host/enrollment.json" > "$WORK/$host.crt"
  json .key < "$WORK/$host/enrollment.json" > "$WORK/$host.key"
done
thief() {  # thief HOST MODE [TICKET]
  /usr/bin/python3 "$SOURCE/tests/system/reading_thief.py" 127.0.0.1 "$(json .port < "$WORK/run/mulettod.json")" \
    "$WORK/$1.crt" "$WORK/$1.key" "${@:2}" || fail "the thief read, or was told more than 'no'"
}
thief alpha guess
thief alpha ticket "$ticket"
muletto restore to-host "$point" alpha --disk vda --target "vda=$WORK/images/live.raw" --format raw \
  --bandwidth 1M --background -o json > "$WORK/job"
job=$(json .job.id < "$WORK/job")
wait_until 60 "it runs" running
live=$(json .ticket < "$(ls "$WORK/alpha.run/restores/"*.order)")
thief beta ticket "$live"
thief beta polls

echo "a host that is revoked in the middle"
muletto host revoke alpha > /dev/null
thief alpha ticket "$live"
wait_until 60 "its job fails" expect_failure 5 "revoked" muletto job follow "$job"
expect_failure 3 "no host" to_alpha --folder "$WORK/images"

echo "a host that allows no restores"
sed -i "1i restores = false" "$WORK/beta.toml"
start_background beta muletto-agent run --config "$WORK/beta.toml"
expect_failure 1 "forbid restores" muletto restore to-host "$point" beta --folder "$WORK/images"
stop_background alpha
stop_background beta
[ -z "$(ls -A "$WORK/alpha.run/restores" 2> /dev/null)" ] || fail "files of restores are left"
! grep "$WORK" /proc/mounts > "$WORK/mounts" || fail "a mount is left: $(cat "$WORK/mounts")"
pass
