#!/usr/bin/env bash
# Tracking never lies: whenever a bitmap does not continue from the store's last point, everything is read, the
# point is right, and its note says why. The next sync is incremental again.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

# expect_full DISK REASON   the next sync reads the disk in full for that reason, and is right.
expect_full() {
  run_in_guest shop "head -c 300000 /dev/urandom > /data/$RANDOM; sync"
  start_sync full shop --limit 3M
  copy_of_the_instant full "$WORK/copy" vda vdb
  sync_outcome full || fail "the sync failed"
  sed -n '/^{/,$p' "$WORK/full.log" > "$WORK/result"
  rm "$WORK/full.log"
  expect_same_disks "$(json .point < "$WORK/result")" "$WORK/copy" vda vdb
  [ "$(json ".disks[] | select(.name == \"$1\") | .incremental" < "$WORK/result")" = false ] \
    || fail "disk $1 was not read in full: $(cat "$WORK/result")"
  [[ $(json .note < "$WORK/result") == *$2* ]] || fail "no '$2' in the note: $(cat "$WORK/result")"
  expect_nothing_left shop 1
}

# expect_incremental   the next sync is incremental for all disks, and right.
expect_incremental() {
  run_in_guest shop "head -c 300000 /dev/urandom > /data/$RANDOM; date > /dev/vdb; sync"
  start_sync incremental shop --limit 500K
  copy_of_the_instant incremental "$WORK/copy" vda vdb
  sync_outcome incremental || fail "the sync failed"
  sed -n '/^{/,$p' "$WORK/incremental.log" > "$WORK/result"
  rm "$WORK/incremental.log"
  expect_same_disks "$(json .point < "$WORK/result")" "$WORK/copy" vda vdb
  [ "$(json '[.disks[].incremental] | all' < "$WORK/result")" = true ] || fail "not incremental: $(cat "$WORK/result")"
  [ "$(json .bytes_read < "$WORK/result")" -lt 10000000 ] || fail "too much was read: $(cat "$WORK/result")"
  expect_nothing_left shop 1
}

restart_shop() {
  wait_guest_state shop "shut off" 60
  virsh start shop > /dev/null
  guest_agent_ready shop 240
}

require_capture
build_guest shop
define_guest shop "$WORK/shop.qcow2" --no-net
guest_agent_ready shop 240
add_disk shop vdb 64M qcow2
run_in_guest shop "head -c 8000000 /dev/urandom > /dev/vdb; sync"
expect_full vda "first point"
expect_incremental

echo "the machine is destroyed and started: its bitmaps stay valid"
virsh destroy shop > /dev/null
restart_shop
expect_incremental

echo "QEMU is killed"
qemu=$(pgrep -f -- "-name guest=shop,.*$WORK")
kill -s KILL "$qemu"
restart_shop
expect_full vda "lost or broken"
expect_incremental

echo "another program deletes the checkpoint"
virsh checkpoint-delete shop "$(virsh checkpoint-list shop --name | sed -n 1p)" > /dev/null
expect_full vda "checkpoint of the last point was deleted"
expect_incremental

echo "an external snapshot, and its commit: tracking continues"
virsh snapshot-create-as shop outside --disk-only --no-metadata --diskspec "vda,file=$WORK/shop-overlay.qcow2" \
  --diskspec vdb,snapshot=no > /dev/null
expect_incremental
virsh blockcommit shop vda --active --pivot --wait > /dev/null
expect_incremental

echo "a disk is resized"
virsh blockresize shop vdb 80M > /dev/null
expect_full vdb "resized"
[ "$(json '.disks[] | select(.name == "vda") | .incremental' < "$WORK/result")" = true ] || fail "vda was read in full"
expect_incremental

echo "a disk is replaced by an older copy of it"
virsh destroy shop > /dev/null
cp "$WORK/shop-vdb.qcow2" "$WORK/old.qcow2"
virsh start shop > /dev/null
guest_agent_ready shop 240
expect_incremental
virsh destroy shop > /dev/null
cat "$WORK/old.qcow2" > "$WORK/shop-vdb.qcow2"
virsh start shop > /dev/null
guest_agent_ready shop 240
expect_full vdb "lost or broken"
expect_incremental

echo "the store's last point is somebody else's"
qemu-img create -q -f raw "$WORK/other.img" 256M
qemu-img create -q -f raw "$WORK/other2.img" 80M
agent_sync shop --disk "vda=$WORK/other.img" --disk "vdb=$WORK/other2.img" > /dev/null
expect_full vda "but the last one is"
expect_incremental

echo "the agent's state is lost"
rm "$STATE"/machines/*.tracking
expect_full vda "no record"
expect_incremental

echo "asked for"
agent_sync shop --full > "$WORK/result"
[[ $(json .note < "$WORK/result") == *"asked for"* ]] || fail "no reason: $(cat "$WORK/result")"
expect_incremental
pass
