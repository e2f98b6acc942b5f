#!/usr/bin/env bash
# Image files of every format, block devices, LVM volumes (LVM's commands are played by scripts: test machines have no
# device mapper), and a physical server: its definition, and that it boots from its point.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

physical_sync() {
  muletto-agent sync server --physical --sysroot "$WORK/root" --store "$STORE" --state-directory "$STATE" --run-directory "$RUN" \
    --output json --quiet "$@"
}

require_capture
require_commands losetup
build_guest server
qemu-img convert -O raw "$WORK/server.qcow2" "$WORK/server.raw"

echo "every format, byte for byte"
for format in raw qcow2 vmdk vhdx vpc vdi; do
  options=
  [ $format != vpc ] || options="-o force_size=on"
  # shellcheck disable=SC2086
  qemu-img convert -O $format $options "$WORK/server.raw" "$WORK/disk.$format"
  agent_sync "image-$format" --image "$WORK/disk.$format" --format $format --quiet > "$WORK/result"
  point_disk "$(json .point < "$WORK/result")" vda "$WORK/point"
  cmp "$WORK/point" "$WORK/server.raw" || fail "$format comes back changed"
  rm "$WORK/point" "$WORK/disk.$format"
done

echo "a server with a disk and a volume"
loop=$(losetup -f --show "$WORK/server.raw")
on_exit losetup -d "$loop"
root=$WORK/root
mkdir -p "$root"/sys/{firmware,devices/system/cpu,class/net/eno1/device,class/net/br0,class/dmi/id,block/sda/device} \
  "$root/proc" "$root/dev" "$root"/sys/block/{sda/sda1,loop0} "$WORK/lvm" "$WORK/bin"
ln -s "$loop" "$root/dev/sda"
echo 0-1 > "$root/sys/devices/system/cpu/online"
echo 52:54:00:aa:bb:cc > "$root/sys/class/net/eno1/address"
echo 0a0b0c0d-0000-4000-8000-000000000001 > "$root/sys/class/dmi/id/product_uuid"
echo $((256 << 11)) > "$root/sys/block/sda/size"
echo 1 > "$root/sys/block/sda/sda1/partition"
echo 2048 > "$root/sys/block/sda/sda1/start"
echo 'MemTotal:         401234 kB' > "$root/proc/meminfo"
head -c 3000000 /dev/urandom > "$WORK/volume"
truncate -s 4M "$WORK/volume"
cp "$WORK/volume" "$WORK/volume.before"
cat > "$WORK/bin/lvs" << LVS
#!/bin/bash
[ ! -e "$WORK/lvm/broken" ] || exit 5
for last; do :; done
case "\$*" in
  *pool_lv*) [ -e "$WORK/lvm/.thin" ] && echo "  pool0" || exit 5 ;;
  *lv_path*) echo "  $WORK/lvm/\${last#vg0/}" ;;
  *data_percent*) cat "$WORK/lvm/.percent" 2> /dev/null || echo "  3.10" ;;
  *vg_name,lv_name) for f in "$WORK"/lvm/*; do [ -f "\$f" ] && echo "  vg0|\${f##*/}"; done; true ;;
  *"$WORK/volume") echo "  vg0|data" ;;
  *) exit 5 ;;
esac
LVS
cat > "$WORK/bin/lvcreate" << LVCREATE
#!/bin/bash
all="\$*"
while [ \$# -gt 1 ]; do [ "\$1" = --name ] && name=\$2; shift; done
echo "\$all" > "$WORK/lvcreate.words"
[ "\$1" = vg0/data ] && cp "$WORK/volume" "$WORK/lvm/\$name" && echo "\$name" >> "$WORK/created"
# The server keeps running.
head -c 100000 /dev/urandom | dd of="$WORK/volume" conv=notrunc status=none
LVCREATE
cat > "$WORK/bin/lvremove" << LVREMOVE
#!/bin/bash
for last; do :; done
rm "$WORK/lvm/\${last#vg0/}"
LVREMOVE
chmod +x "$WORK"/bin/*
PATH=$WORK/bin:$PATH physical_sync --disk "data=$WORK/volume" > "$WORK/result"
[ "$(json .consistency < "$WORK/result")" = file-system ] || fail "a snapshot is consistent: $(cat "$WORK/result")"
rm -f "$WORK/point"; point_disk "$(json .point < "$WORK/result")" data "$WORK/point"
cmp "$WORK/point" "$WORK/volume.before" || fail "the volume is not what it was at the snapshot"
[ -z "$(ls "$WORK/lvm")" ] || fail "a snapshot is left"

echo "a snapshot that fills up, and one that a killed sync left"
echo 99.00 > "$WORK/lvm/.percent"
cp "$WORK/volume" "$WORK/lvm/$(sed 's/-[0-9a-f]*$/-00000000/' "$WORK/created" | sed -n 1p)"
PATH=$WORK/bin:$PATH expect_failure 7 "snapshot .* is full" physical_sync --disk "data=$WORK/volume"
[ -z "$(ls "$WORK/lvm")" ] || fail "a snapshot is left: $(ls "$WORK/lvm")"

echo "a thin volume: no room of its own, a device at once, and the pool's limit counts"
touch "$WORK/lvm/.thin"
echo 96.00 > "$WORK/lvm/.percent"
cp "$WORK/volume" "$WORK/volume.before"
PATH=$WORK/bin:$PATH physical_sync --disk "data=$WORK/volume" > "$WORK/result"
rm -f "$WORK/point"; point_disk "$(json .point < "$WORK/result")" data "$WORK/point"
cmp "$WORK/point" "$WORK/volume.before" || fail "the thin volume is not what it was at the snapshot"
grep -q -- "--setactivationskip n" "$WORK/lvcreate.words" || fail "LVM would give it no device: $(cat "$WORK/lvcreate.words")"
! grep -q -- "--extents" "$WORK/lvcreate.words" || fail "a thin snapshot takes room of the group: $(cat "$WORK/lvcreate.words")"
echo 99.00 > "$WORK/lvm/.percent"
PATH=$WORK/bin:$PATH expect_failure 7 "thin pool vg0/pool0 is 99.00 % full" physical_sync --disk "data=$WORK/volume"
[ -z "$(ls "$WORK/lvm")" ] || fail "a snapshot is left: $(ls "$WORK/lvm")"
rm "$WORK/lvm/.thin" "$WORK/lvm/.percent"

if [ -e /dev/zvol ]; then
  echo "  /dev/zvol exists: ZFS is not played here"
else
  echo "a ZFS volume (zfs is played by a script): its snapshot is read, and everything is put back"
  mkdir -p /dev/zvol/tank "$WORK/zfs"
  on_exit rm -rf /dev/zvol
  cp "$WORK/volume" /dev/zvol/tank/data
  cat > "$WORK/bin/zfs" << ZFS
#!/bin/bash
echo "\$*" >> "$WORK/zfs/words"
for last; do :; done
case "\$*" in
  "list -H -o type tank/data") echo volume ;;
  "list -H -o name -t snapshot") for f in /dev/zvol/tank/*@*; do [ -f "\$f" ] && echo "\${f#/dev/zvol/}"; done; true ;;
  "get -H -o value,source snapdev tank/data") printf 'hidden\tdefault\n' ;;
  "set snapdev=visible tank/data" | "inherit snapdev tank/data") ;;
  "snapshot tank/data@"*)
    [ ! -e "$WORK/zfs/broken" ] || { echo "out of space" >&2; exit 1; }
    cp /dev/zvol/tank/data "/dev/zvol/\$last"
    head -c 100000 /dev/urandom | dd of=/dev/zvol/tank/data conv=notrunc status=none ;;
  "destroy tank/data@"*) rm "/dev/zvol/\$last" ;;
  *) exit 1 ;;
esac
ZFS
  chmod +x "$WORK/bin/zfs"
  cp /dev/zvol/tank/data "$WORK/volume.before"
  PATH=$WORK/bin:$PATH physical_sync --disk data=/dev/zvol/tank/data > "$WORK/result"
  [ "$(json .consistency < "$WORK/result")" = file-system ] || fail "a snapshot is consistent: $(cat "$WORK/result")"
  rm -f "$WORK/point"; point_disk "$(json .point < "$WORK/result")" data "$WORK/point"
  cmp "$WORK/point" "$WORK/volume.before" || fail "the ZFS volume is not what it was at the snapshot"
  [ "$(ls /dev/zvol/tank)" = data ] || fail "a snapshot is left: $(ls /dev/zvol/tank)"
  [ "$(tail -n 1 "$WORK/zfs/words")" = "inherit snapdev tank/data" ] || fail "snapdev was not put back: $(cat "$WORK/zfs/words")"
  touch "$WORK/zfs/broken"
  PATH=$WORK/bin:$PATH expect_failure 1 "out of space" physical_sync --disk data=/dev/zvol/tank/data
  [ "$(tail -n 1 "$WORK/zfs/words")" = "inherit snapdev tank/data" ] || fail "snapdev was not put back: $(cat "$WORK/zfs/words")"
  # One that a killed sync left.
  rm "$WORK/zfs/broken"
  name=$(sed -n 's/^snapshot tank.data@//p' "$WORK/zfs/words" | sed -n 1p)
  cp /dev/zvol/tank/data "/dev/zvol/tank/data@${name%-*}-00000000"
  PATH=$WORK/bin:$PATH physical_sync --disk data=/dev/zvol/tank/data > "$WORK/result"
  [ "$(ls /dev/zvol/tank)" = data ] || fail "an abandoned snapshot stays: $(ls /dev/zvol/tank)"
fi

echo "every fixed disk, without a snapshot"
physical_sync > "$WORK/result"
[ "$(json '[.disks[].name] | join(" ")' < "$WORK/result")" = sda ] || fail "other disks: $(cat "$WORK/result")"
[ "$(json .consistency < "$WORK/result")" = crash ] || fail "claims too much: $(cat "$WORK/result")"
[[ $(json .note < "$WORK/result") == *"without a snapshot"* ]] || fail "no word of it: $(cat "$WORK/result")"
point=$(json .point < "$WORK/result")
muletto-restore machine --store "$STORE" "$point" --to "$WORK/machine" > /dev/null
cmp "$WORK/machine/sda.img" "$WORK/server.raw" || fail "the disk is not the device's"
jq -e '.uuid == "0a0b0c0d-0000-4000-8000-000000000001" and .disks[0].size == 268435456
  and .disks[0].partitions[0].start == 1048576' "$WORK/machine/hardware" > /dev/null \
  || fail "the hardware is not told: $(cat "$WORK/machine/hardware")"

echo "it boots from its point"
define_guest again "$WORK/machine/sda.img" --no-net
guest_agent_ready again 240
pass
