#!/usr/bin/env bash
# Raw disks of a running machine (a file, a block device) are captured incrementally through QEMU's monitor, at one
# instant with its qcow2 disk. Tampering with that tracking leads to full reads with a reason, and to no wrong point.
# timeout: 1500
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

# change   the guest changes all three disks.
change() {
  run_in_guest shop "head -c 300000 /dev/urandom > /data/second
    for disk in vdb vdc; do dd if=/data/second of=/dev/\$disk bs=64K seek=$((RANDOM % 400)) 2> /dev/null; done; sync"
}

start_shop() {
  virsh start shop > /dev/null
  guest_agent_ready shop 240
}

# monitor COMMAND [ARGUMENTS]   one command to QEMU's monitor.
monitor() {
  local answer
  answer=$(virsh qemu-monitor-command shop "{\"execute\": \"$1\", \"arguments\": ${2:-{\}}}")
  [[ $answer != *'"error"'* ]] || fail "QEMU refused $1: $answer"
  echo "$answer"
}

# raw_node DISK   the node of a raw disk.
raw_node() {
  local alias
  alias=$(virsh dumpxml shop | xmllint --xpath "string(//disk[target/@dev='$1']/alias/@name)" -)
  monitor query-block | json ".return[] | select(.qdev | contains(\"$alias\")) | .inserted.\"node-name\""
}

# bitmaps NODE   the names of the agent's bitmaps in QEMU's memory.
bitmaps() {
  monitor query-named-block-nodes \
    | json ".return[] | select(.\"node-name\" == \"$1\") | .\"dirty-bitmaps\"[]?.name" | grep '^muletto\.' || true
}

record() { json ".monitor.$1" < "$(find "$STATE/machines" -name '*.tracking')"; }

# expect_incremental   the next sync reads little, is right, and leaves two bitmaps on each raw disk.
expect_incremental() {
  change
  sync_paused shop
  expect_read "" ""
  [ "$(json .bytes_read < "$WORK/result")" -lt 8000000 ] || fail "too much was read: $(cat "$WORK/result")"
  expect_tidy
}

expect_tidy() {
  local disk
  expect_nothing_left shop 1
  for disk in vdb vdc; do
    [ "$(bitmaps "$(raw_node $disk)" | wc -l)" -eq 2 ] || fail "bitmaps of $disk: $(bitmaps "$(raw_node $disk)")"
  done
}

require_capture
require_commands losetup xmllint
build_guest shop
head -c 60000000 /dev/urandom | tee "$WORK/shop-vdb.raw" > "$WORK/device.img"
truncate -s 64M "$WORK/shop-vdb.raw" "$WORK/device.img"
device=$(losetup --find --show "$WORK/device.img")
on_exit losetup --detach "$device"
define_guest shop "$WORK/shop.qcow2" --no-net
guest_agent_ready shop 240
virsh attach-disk shop "$WORK/shop-vdb.raw" vdb --driver qemu --subdriver raw --persistent > /dev/null
virsh attach-disk shop "$device" vdc --sourcetype block --driver qemu --subdriver raw --persistent > /dev/null
sync_paused shop
expect_read "vda vdb vdc" "first point"
expect_incremental
echo "  $(json .bytes_read < "$WORK/result") bytes read, of $(json '[.disks[].size] | add' < "$WORK/result")"

echo "a guest that writes all the time: one instant for disks of both kinds"
guest_agent shop guest-exec "$(jq -nc '{path: "/bin/sh", arg: ["-c", "while :; do
  head -c 65536 /dev/urandom | dd of=/data/noise bs=65536 conv=notrunc,fsync 2> /dev/null
  for d in vdb vdc; do dd if=/data/noise of=/dev/$d bs=4096 seek=$(($(date +%s) % 9000)) conv=notrunc 2> /dev/null
  done; sync; done"]}')" > /dev/null
for round in 1 2 3; do
  start_sync "busy$round" shop --limit 150K
  copy_of_the_instant "busy$round" "$WORK/copy" vda vdb vdc
  sync_outcome "busy$round" || fail "sync $round failed"
  sed -n '/^{/,$p' "$WORK/busy$round.log" > "$WORK/result"
  expect_read "" ""
  expect_same_disks "$(json .point < "$WORK/result")" "$WORK/copy" vda vdb vdc
  expect_tidy
  echo "  $(json .bytes_read < "$WORK/result") bytes read, frozen for $(json .frozen_ms < "$WORK/result") ms"
done
virsh destroy shop > /dev/null

echo "QEMU was restarted: its memory is gone, what qcow2 holds is not"
start_shop
change
sync_paused shop
expect_read "vdb vdc" "is gone: QEMU was restarted"
expect_incremental

echo "a bitmap is removed, switched off, made again under its name"
node=$(raw_node vdb)
monitor block-dirty-bitmap-remove "{\"node\": \"$node\", \"name\": \"$(record bitmap)\"}" > /dev/null
change
sync_paused shop
expect_read vdb "is gone"
expect_incremental
monitor block-dirty-bitmap-disable "{\"node\": \"$node\", \"name\": \"$(record witness)\"}" > /dev/null
change
sync_paused shop
expect_read vdb "switched off by another program"
expect_incremental
change
monitor block-dirty-bitmap-remove "{\"node\": \"$node\", \"name\": \"$(record bitmap)\"}" > /dev/null
monitor block-dirty-bitmap-add "{\"node\": \"$node\", \"name\": \"$(record bitmap)\"}" > /dev/null
monitor block-dirty-bitmap-clear "{\"node\": \"$(raw_node vdc)\", \"name\": \"$(record witness)\"}" > /dev/null
expect_incremental
virsh destroy shop > /dev/null
start_shop
monitor block-dirty-bitmap-add "{\"node\": \"$(raw_node vdb)\", \"name\": \"$(record bitmap)\"}" > /dev/null
monitor block-dirty-bitmap-add "{\"node\": \"$(raw_node vdc)\", \"name\": \"somebody-elses\"}" > /dev/null
change
sync_paused shop
expect_read "vdb vdc" "is gone"
[[ $(monitor query-named-block-nodes) == *somebody-elses* ]] || fail "another program's bitmap was removed"
expect_incremental

echo "another disk under the same name; and the same disk attached again"
virsh detach-disk shop vdb --persistent > /dev/null
sleep 3
cp "$WORK/shop-vdb.raw" "$WORK/other.raw"
virsh attach-disk shop "$WORK/other.raw" vdb --driver qemu --subdriver raw --persistent > /dev/null
change
sync_paused shop
expect_read vdb "another image than at the last point"
expect_incremental
virsh detach-disk shop vdb --persistent > /dev/null
sleep 3
qemu-io -f raw -c "write -P 9 3M 1M" "$WORK/other.raw" > /dev/null
virsh attach-disk shop "$WORK/other.raw" vdb --driver qemu --subdriver raw --persistent > /dev/null
change
sync_paused shop
expect_read vdb "is gone"
expect_incremental

echo "an older copy of a disk is put back while the machine is off"
cp --sparse=always "$WORK/other.raw" "$WORK/old.raw"
expect_incremental
virsh destroy shop > /dev/null
cat "$WORK/old.raw" > "$WORK/other.raw"
agent_sync shop > "$WORK/result"
expect_point_is_images shop
expect_read "vdb vdc" "ends when the machine is switched off"
start_shop
change
sync_paused shop
expect_read "vdb vdc" "was not tracked at the last point"
expect_incremental

echo "a disk is resized"
virsh blockresize shop vdb 80M > /dev/null
change
sync_paused shop
expect_read vdb "resized"
expect_incremental

echo "an external snapshot, and its commit"
virsh snapshot-create-as shop outside --disk-only --no-metadata --diskspec "vdb,file=$WORK/overlay.qcow2" \
  --diskspec vda,snapshot=no --diskspec vdc,snapshot=no > /dev/null
change
virsh blockcommit shop vdb --active --pivot --wait > /dev/null
expect_incremental
virsh snapshot-create-as shop outside --disk-only --no-metadata --diskspec "vdb,file=$WORK/overlay2.qcow2" \
  --diskspec vda,snapshot=no --diskspec vdc,snapshot=no > /dev/null
change
agent_sync shop > "$WORK/result"
expect_read vdb "was not tracked at the last point"
virsh blockcommit shop vdb --active --pivot --wait > /dev/null
change
sync_paused shop
expect_read vdb ""
expect_incremental

echo "a block job of libvirt is left alone"
virsh blockcopy shop vdb --dest "$WORK/copied.raw" --format raw --transient-job > /dev/null
change
expect_failure 4 "is under way .virsh blockjob. and was left alone" agent_sync shop --quiet
[[ $(virsh blockjob shop vdb 2>&1) == *opy* ]] || fail "the job is gone"
virsh blockjob shop vdb --abort > /dev/null
expect_incremental

echo "a sync and its guard are killed"
node=$(raw_node vdb)  # during a backup QEMU tells another
start_sync killed shop --full --limit 4M
wait_until 60 "the backup job of a sync" _backup_begun vda vdb vdc
change
[ "$(bitmaps "$node" | wc -l)" -eq 4 ] || fail "not two bitmaps more: $(bitmaps "$node")"
pkill -KILL -f -- "--sync-guard.*$STATE"
kill -s KILL "$(background_pid killed)"
expect_incremental

echo "the agent's state is lost; another agent continues"
rm "$STATE"/machines/*.tracking
change
sync_paused shop
expect_read "vda vdb vdc" "no record"
expect_incremental

echo "without the monitor; and forgotten"
printf '[machines.shop]\nraw_tracking = false\n' > "$WORK/agent.toml"
change
sync_paused shop --config "$WORK/agent.toml"
expect_read "vdb vdc" "cannot hold a record"
sync_paused shop
expect_incremental
muletto-agent forget shop --state-directory "$STATE" --run-directory "$RUN" --libvirt-uri "$LIBVIRT_DEFAULT_URI" \
  > "$WORK/forgotten"
grep -q "in its memory" "$WORK/forgotten" || fail "bitmaps are not forgotten: $(cat "$WORK/forgotten")"
[ -z "$(bitmaps "$(raw_node vdc)")" ] || fail "bitmaps are left"
pass
