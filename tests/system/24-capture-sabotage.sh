#!/usr/bin/env bash
# Change tracking that was tampered with from outside: every point still equals the disks, byte for byte; only
# the disks concerned are read in full, for a reason that is named. And disks left out by rule.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

# change TEXT   the guest changes both disks.
change() {
  run_in_guest shop "head -c 300000 /dev/urandom > /data/$1; head -c 200000 /dev/urandom > /data/second
    dd if=/data/second of=/dev/vdb bs=64K seek=$((RANDOM % 500)) 2> /dev/null; sync"
}

start_shop() {
  virsh start shop > /dev/null
  guest_agent_ready shop 240
}

require_capture
build_guest shop
qemu-img create -q -f qcow2 "$WORK/shop-vdb.qcow2" 64M
define_guest shop "$WORK/shop.qcow2" --no-net
guest_agent_ready shop 240
virsh attach-disk shop "$WORK/shop-vdb.qcow2" vdb --driver qemu --subdriver qcow2 --persistent > /dev/null
change first
sync_paused shop
expect_read "vda vdb" "first point"
change second
sync_paused shop
expect_read "" ""

echo "a new disk"
qemu-img create -q -f qcow2 "$WORK/shop-vdc.qcow2" 16M
virsh attach-disk shop "$WORK/shop-vdc.qcow2" vdc --driver qemu --subdriver qcow2 --persistent > /dev/null
change third
sync_paused shop
expect_read vdc "the disk is new"
sync_paused shop
expect_read "" ""

echo "rules leave disks out"
sync_paused shop --exclude 'vd[c-z]' --exclude "*/shop-vdb.*"
[ "$(json '[.disks[].name] | join(" ")' < "$WORK/result")" = vda ] || fail "not left out: $(cat "$WORK/result")"
expect_failure 3 "has no disk vdx to exclude" agent_sync shop --exclude vdx
expect_failure 2 "has no disk to capture" agent_sync shop --exclude '*'
change fourth
printf '[machines.shop]\nexclude_disks = ["*/shop-vdc.qcow2"]\n' > "$WORK/agent.toml"
sync_paused shop --config "$WORK/agent.toml"
expect_read vdb "the disk is new"

echo "qemu-img removes a bitmap while the machine is off"
virsh destroy shop > /dev/null
qemu-img bitmap --remove "$WORK/shop-vdb.qcow2" "$(bitmap_of "$WORK/shop-vdb.qcow2")"
start_shop
change fifth
sync_paused shop --exclude vdc
expect_read vdb "lost or broken"

echo "qemu-img switches a bitmap off"
virsh destroy shop > /dev/null
qemu-img bitmap --disable "$WORK/shop-vdb.qcow2" "$(bitmap_of "$WORK/shop-vdb.qcow2")"
start_shop
change sixth
sync_paused shop --exclude vdc
echo "  $(json .note < "$WORK/result")"

echo "a disk is replaced by another while the machine is off, and captured off"
change seventh
virsh destroy shop > /dev/null
cp "$WORK/shop-vdb.qcow2" "$WORK/old.qcow2"
start_shop
change eighth
virsh destroy shop > /dev/null
agent_sync shop --exclude vdc > "$WORK/result"
expect_point_is_images shop
expect_read "" ""
cp "$WORK/shop-vdb.qcow2" "$WORK/new.qcow2"
# The older copy: its bitmap is whole, and knows nothing of what the last point has.
cat "$WORK/old.qcow2" > "$WORK/shop-vdb.qcow2"
agent_sync shop --exclude vdc > "$WORK/result"
expect_point_is_images shop
cat "$WORK/new.qcow2" > "$WORK/shop-vdb.qcow2"
qemu-img create -q -f qcow2 "$WORK/other.qcow2" 64M
qemu-io -f qcow2 -c "write -P 7 5M 1M" "$WORK/other.qcow2" > /dev/null
cp "$WORK/other.qcow2" "$WORK/shop-vdb.qcow2"
agent_sync shop --exclude vdc > "$WORK/result"
expect_point_is_images shop
expect_read vdb "lost or broken"

echo "the point that tracking began with is deleted"
origin=$(json .origin < "$(find "$STATE/machines" -name '*.tracking')")
muletto store delete "$STORE" "$origin" > /dev/null
agent_sync shop --exclude vdc > "$WORK/result"
expect_point_is_images shop
[[ $(json .note < "$WORK/result") == *"the point that its record of changes starts from was deleted"* ]] \
  || fail "no reason: $(cat "$WORK/result")"

echo "an internal snapshot of the image is gone back to"
start_shop
sync_paused shop --exclude vdc
virsh destroy shop > /dev/null
qemu-img snapshot -c before "$WORK/shop-vdb.qcow2"
start_shop
change ninth
sync_paused shop --exclude vdc
virsh destroy shop > /dev/null
qemu-img snapshot -a before "$WORK/shop-vdb.qcow2" 2> "$WORK/snapshot.err" || cat "$WORK/snapshot.err"

echo "the machine moves to another host and back"
start_libvirt second
home=$LIBVIRT_DEFAULT_URI
virsh dumpxml --inactive shop > "$WORK/shop.moved.xml"
export LIBVIRT_DEFAULT_URI=$(libvirt_uri second)
virsh define "$WORK/shop.moved.xml" > /dev/null
on_exit remove_guest shop "$LIBVIRT_DEFAULT_URI"
home_state=$STATE STATE=$WORK/agent2
start_shop
change tenth
sync_paused shop --exclude vdc
expect_read "vda vdb" "no record of what changed"
change eleventh
sync_paused shop --exclude vdc
expect_read "" ""
virsh destroy shop > /dev/null
export LIBVIRT_DEFAULT_URI=$home STATE=$home_state
start_shop
change twelfth
sync_paused shop --exclude vdc
expect_read "vda vdb" "but the last one is"
sync_paused shop --exclude vdc
expect_read "" ""
expect_nothing_left shop 1
pass
