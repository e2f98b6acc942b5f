#!/usr/bin/env bash
# A machine that is shut off: captured from its images, incrementally where its bitmaps allow it; reading does
# not keep it from being started. And machines that are nothing but image files.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

expect_point_is() {
  point_disk "$1" "$2" "$WORK/point"
  qemu-img compare -q -f raw -F "$4" "$WORK/point" "$3" || fail "disk $2 of point $1 is not $3"
  rm "$WORK/point"
}

_no_image_server() {
  ! pgrep -f -- "^qemu-nbd.*$WORK"
}

require_capture
build_guest shop --firmware uefi
define_guest shop "$WORK/shop.qcow2" --uefi --no-net
guest_agent_ready shop 240
agent_sync shop > "$WORK/running"
run_in_guest shop "head -c 1000000 /dev/urandom > /data/last; sync"
virsh shutdown shop --mode agent > /dev/null
wait_guest_state shop "shut off" 60

agent_sync shop > "$WORK/result"
[ "$(json '[.disks[].incremental] | all' < "$WORK/result")" = true ] || fail "not incremental: $(cat "$WORK/result")"
[ "$(json .bytes_read < "$WORK/result")" -lt 20000000 ] || fail "too much was read: $(cat "$WORK/result")"
expect_point_is "$(json .point < "$WORK/result")" vda "$WORK/shop.qcow2" qcow2

echo "it is started while it is being read"
start_sync shutoff shop --full --limit 4M
wait_until 60 "the images are being read" _backup_socket
virsh start shop > /dev/null
status=0
sync_outcome shutoff || status=$?
[ $status -eq 4 ] || fail "exit code $status: $(cat "$WORK/shutoff.log")"
grep -q "was started during the sync" "$WORK/shutoff.log" || fail "no reason: $(cat "$WORK/shutoff.log")"

echo "its bitmap stays valid"
guest_agent_ready shop 240
start_sync again shop --limit 1M
copy_of_the_instant again "$WORK/copy" vda
sync_outcome again || fail "the sync failed: $(cat "$WORK/again.log")"
sed -n '/^{/,$p' "$WORK/again.log" > "$WORK/result"
expect_same_disks "$(json .point < "$WORK/result")" "$WORK/copy" vda
[ "$(json '[.disks[].incremental] | all' < "$WORK/result")" = true ] || fail "not incremental: $(cat "$WORK/result")"
expect_nothing_left shop 1

echo "images"
qemu-img convert -O vmdk -U "$WORK/shop.qcow2" "$WORK/a b,c.vmdk"
truncate -s 3000000 "$WORK/odd.img"
agent_sync archive --image "$WORK/a b,c.vmdk" --format vda=vmdk --disk "vdb=$WORK/odd.img" > "$WORK/result"
expect_point_is "$(json .point < "$WORK/result")" vda "$WORK/a b,c.vmdk" vmdk
expect_point_is "$(json .point < "$WORK/result")" vdb "$WORK/odd.img" raw

echo "a killed sync of an image: no qemu-nbd stays, and the next sync removes the folder"
start_sync killed archive --image "$WORK/a b,c.vmdk" --format vmdk --limit 1M
wait_until 60 "the image is being read" _backup_socket
kill -s KILL "$(background_pid killed)"
sync_outcome killed || true
wait_until 10 "its qemu-nbd ends" _no_image_server
agent_sync archive --image "$WORK/a b,c.vmdk" --format vmdk > "$WORK/result"
[ "$(json .bytes_sent < "$WORK/result")" -lt 10000 ] || fail "what the store has was sent: $(cat "$WORK/result")"

expect_failure 3 "missing.qcow2" agent_sync archive --image "$WORK/missing.qcow2"
expect_failure 4 "written to" agent_sync archive --image "$WORK/shop.qcow2" --format qcow2
expect_failure 3 "nobody" agent_sync nobody
[ -z "$(find "$RUN" "$STATE/scratch" -mindepth 1)" ] || fail "something is left in $RUN or $STATE"
pass
