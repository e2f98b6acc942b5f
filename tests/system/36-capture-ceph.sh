#!/usr/bin/env bash
# A disk in a real Ceph (RBD through QEMU) is captured incrementally. Skipped where no Ceph is installed
# (ceph-mon, ceph-osd, ceph-common, qemu-block-extra).
# timeout: 1200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

# start_ceph   one monitor and one store in memory, on 127.0.0.1, until the end of the test.
start_ceph() {
  local dir=$WORK/ceph fsid
  fsid=$(< /proc/sys/kernel/random/uuid)
  ceph_port=$(free_port)
  mkdir -p "$dir/mon" "$dir/osd" "$dir/run"
  export CEPH_CONF=$dir/ceph.conf
  cat > "$CEPH_CONF" << CONF
[global]
fsid = $fsid
mon_host = v1:127.0.0.1:$ceph_port
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $dir/run
admin_socket = $dir/run/\$name.sock
log_file = $dir/\$name.log
ms_bind_ipv6 = false
mon_data = $dir/mon
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
osd_class_load_list = *
osd_class_default_list = *
osd_pool_default_pg_autoscale_mode = off
CONF
  monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$ceph_port]" "$dir/monmap" > /dev/null
  ceph-mon --mkfs -i a --monmap "$dir/monmap" > /dev/null 2>&1
  start_background ceph-mon ceph-mon -i a -f
  wait_until 150 "Ceph's monitor answers" timeout 30 ceph -s
  local uuid
  uuid=$(< /proc/sys/kernel/random/uuid)
  ceph osd new "$uuid" > /dev/null
  ceph-osd -i 0 --mkfs --osd-uuid "$uuid" > /dev/null 2>&1
  start_background ceph-osd ceph-osd -i 0 -f
  osd_is_up() { timeout 30 ceph osd stat | has "1 up"; }
  wait_until 150 "Ceph's store is up" osd_is_up
  ceph osd pool create data 8 > /dev/null 2>&1
  rbd create data/shop --size 64M --image-feature layering
}

# expect_rbd   the last point's disk vdb is what Ceph has.
expect_rbd() {
  point_disk "$(json .point < "$WORK/result")" vdb "$WORK/point"
  rbd export --no-progress data/shop "$WORK/exported"
  cmp "$WORK/point" "$WORK/exported" || fail "vdb of the point is not what Ceph has: $(cat "$WORK/result")"
  rm "$WORK/point" "$WORK/exported"
}

sync_rbd() {
  virsh suspend shop > /dev/null
  agent_sync shop --quiet > "$WORK/result" 2> "$WORK/result.err" || fail "the sync failed: $(cat "$WORK/result.err")"
  expect_rbd
  virsh resume shop > /dev/null
}

require_capture
require_commands ceph-mon ceph-osd ceph rbd monmaptool
[ -e /usr/lib/x86_64-linux-gnu/qemu/block-rbd.so ] || skip "this QEMU has no RBD (qemu-block-extra)"
start_ceph
build_guest shop
define_guest shop "$WORK/shop.qcow2" --no-net
guest_agent_ready shop 240
cat > "$WORK/disk.xml" << XML
<disk type='network' device='disk'><driver name='qemu' type='raw'/>
  <source protocol='rbd' name='data/shop'><host name='127.0.0.1' port='$ceph_port'/></source>
  <target dev='vdb' bus='virtio'/></disk>
XML
virsh attach-device shop "$WORK/disk.xml" --persistent > /dev/null
run_in_guest shop "head -c 10000000 /dev/urandom > /dev/vdb; sync"
sync_rbd
expect_read "vda vdb" "first point"
for round in 1 2; do
  run_in_guest shop "head -c 300000 /dev/urandom | dd of=/dev/vdb bs=64K seek=$((round * 200)) 2> /dev/null; sync"
  sync_rbd
  expect_read "" ""
  [ "$(json .bytes_read < "$WORK/result")" -lt 5000000 ] || fail "too much was read: $(cat "$WORK/result")"
  echo "$(json .bytes_read < "$WORK/result") bytes read, of $(json '[.disks[].size] | add' < "$WORK/result")"
done
echo "QEMU is restarted; the image is rolled back to a snapshot"
virsh destroy shop > /dev/null
rbd snap create data/shop@before
virsh start shop > /dev/null
guest_agent_ready shop 240
run_in_guest shop "head -c 300000 /dev/urandom > /dev/vdb; sync"
sync_rbd
expect_read vdb "is gone: QEMU was restarted"
virsh destroy shop > /dev/null
rbd snap rollback --no-progress data/shop@before
virsh start shop > /dev/null
guest_agent_ready shop 240
sync_rbd
expect_read vdb "is gone: QEMU was restarted"
pass
