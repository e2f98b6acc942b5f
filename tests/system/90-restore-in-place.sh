#!/usr/bin/env bash
# timeout: 300
# A disk is restored onto what is there: only what differs is written, what is read back is compared, an interrupted
# restore resumes, and the wrong disk is never written.
. "$(dirname "$0")/lib.sh"

require_root
require_commands losetup sfdisk mkfs.ext4 mkswap jq cmp script
require_programs muletto muletto-restore nbdkit-muletto-plugin.so

store=$WORK/store
restore() {
  muletto-restore disk --store "$store" web@latest --disk vda "$@"
}
value() {
  restore "$@" -o json > "$WORK/out.json" 2> "$WORK/out.log" || fail "$(cat "$WORK/out.log")"
}
is() {
  jq -e "$1" "$WORK/out.json" > /dev/null || fail "not $1: $(cat "$WORK/out.json")"
}

# A disk with a partition table and a file system, half of it holes.
disk=$WORK/web.img
truncate -s 256M "$disk"
sfdisk -q "$disk" <<< $'label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\nstart=1MiB, size=200MiB'
head -c 120M /dev/urandom | dd of="$disk" bs=1M seek=2 conv=notrunc status=none
muletto store init "$store"
muletto store import "$store" --machine web --disk "vda=$disk" > /dev/null

# --- an older state in a file: the survey says how much, and writes nothing; then just that is written.
cp --sparse=always "$disk" "$WORK/old.img"
for megabyte in 5 50 90; do # 3 × 4 MiB changed
  head -c 4M /dev/urandom | dd of="$WORK/old.img" bs=1M seek=$megabyte conv=notrunc status=none
done
head -c 4M /dev/urandom | dd of="$WORK/old.img" bs=1M seek=220 conv=notrunc status=none # zeros in the point
before=$(sha256sum < "$WORK/old.img")
value --to "$WORK/old.img" --survey
is '.differing == 16 * 1048576 and .written == 0 and .size == 268435456'
[ "$before" = "$(sha256sum < "$WORK/old.img")" ] || fail "a survey wrote"
expect_failure 4 "holds gpt partition table 11111111" restore --to "$WORK/old.img" --in-place
expect_failure 4 "'db' is another name" restore --to "$WORK/old.img" --in-place --overwrite db
inode=$(stat -c %i "$WORK/old.img")
value --to "$WORK/old.img" --in-place --overwrite web
is '.differing == 16 * 1048576 and .written == .differing and .fetched == 12 * 1048576 and .verified == .differing'
cmp "$disk" "$WORK/old.img"
[ "$inode" = "$(stat -c %i "$WORK/old.img")" ] || fail "it was replaced"
[ "$(stat -c %b "$WORK/old.img")" -lt 260000 ] || fail "zeros are no holes"
value --to "$WORK/old.img" --in-place --overwrite web --verify written
is '.differing == 0 and .written == 0 and .verified == 0'
value --to "$WORK/old.img" --in-place --overwrite web --verify all
is '.differing == 0 and .written == 0 and .verified == .size'
value --to "$WORK/nothing.img" --survey
is '.differing > 120 * 1048576 and .differing < 125 * 1048576'
[ ! -e "$WORK/nothing.img" ] || fail "a survey made a file"
expect_failure 2 "only raw files" restore --to "$WORK/x.qcow2" --format qcow2 --in-place

# --- killed in the middle, it resumes: what was done compares as equal.
truncate -s 256M "$WORK/new.img"
muletto-restore disk --store "$store" web@latest --to "$WORK/new.img" --in-place --threads 1 --limit 40M > "$WORK/killed.log" 2>&1 &
killed=$!
half() { [ "$(stat -c %b "$WORK/new.img")" -gt 100000 ]; }
wait_until 30 "half of it is written" half
kill -KILL "$killed"
wait "$killed" 2> /dev/null || true
! cmp -s "$disk" "$WORK/new.img" || fail "it was complete before the kill"
value --to "$WORK/new.img" --in-place --overwrite web
is '.differing < 100 * 1048576 and .verified == .differing'
cmp "$disk" "$WORK/new.img"

# --- files of another size; a larger device.
truncate -s 100M "$WORK/old.img"
value --to "$WORK/old.img" --in-place --overwrite web
is '.notes[0] | test("156.0 MiB smaller")'
cmp "$disk" "$WORK/old.img"

attach() {
  local file=$1 size=$2
  rm -f "$file"
  truncate -s "$size" "$file"
  device=$(losetup --find --show --partscan "$file")
  on_exit losetup --detach "$device"
}
attach "$WORK/large" 300M
large=$device
value --to "$large" # empty: needs no name
is '.notes[0] | test("44.0 MiB larger.*sgdisk -e")'
cmp -n 268435456 "$disk" "$large"
sync "$large"

# --- the wrong disk: another partition table, another file system, smaller, mounted, swap, parts of volumes.
attach "$WORK/other" 256M
other=$device
sfdisk -q "$other" <<< $'label: gpt\nstart=1MiB, size=100MiB\nstart=101MiB, size=100MiB'
wrong() {
  local hash
  hash=$(sha256sum < "$1")
  expect_failure "$2" "$3" restore --to "$1" --overwrite web "${@:4}"
  [ "$hash" = "$(sha256sum < "$1")" ] || fail "$1 was written though: $3"
}
wrong "$other" 4 "seems to be another disk"
mkfs.ext4 -q -L theirs "$other"
wrong "$other" 4 "ext4 file system 'theirs'"
mkdir "$WORK/mnt"
mount -o ro,noload "$other" "$WORK/mnt"
on_exit umount "$WORK/mnt"
wrong "$other" 4 "mounted on $WORK/mnt" --erase-foreign
wrong "$WORK/other" 4 "attached to $other" --erase-foreign # the file behind it
umount "$WORK/mnt"
mkswap -q "$other" 2> /dev/null
if swapon "$other" 2> /dev/null; then
  wrong "$other" 4 "used as swap" --erase-foreign
  swapoff "$other"
fi
dd if=/dev/zero of="$other" bs=1M count=8 status=none
attach "$WORK/tiny" 100M
wrong "$device" 2 "100.0 MiB, the disk needs 256.0 MiB" --erase-foreign
if command -v dmsetup > /dev/null && dmsetup create "muletto-90-$$" --table "0 1024 linear $other 0" 2> /dev/null; then
  on_exit dmsetup remove "muletto-90-$$"
  wrong "$other" 4 "is a part of dm-.*muletto-90" --erase-foreign
  dmsetup remove "muletto-90-$$"
fi
mkfs.ext4 -q -L theirs "$other"
value --to "$other" --overwrite web --erase-foreign
cmp -n 268435456 "$disk" "$other"

# --- what is asked on a terminal.
cp "$WORK/old.img" "$WORK/asked.img"
printf x | dd of="$WORK/asked.img" bs=1 seek=3000000 conv=notrunc status=none
answer() {
  script -qec "muletto-restore disk --store $store web@latest --to $WORK/asked.img --in-place" /dev/null <<< "$1" \
    > "$WORK/asked.log" 2>&1
}
! answer db || fail "another name was taken"
has "type the machine's name (web)" "$WORK/asked.log" || fail "not asked: $(cat "$WORK/asked.log")"
! cmp -s "$disk" "$WORK/asked.img" || fail "written under another name"
answer web || fail "$(cat "$WORK/asked.log")"
cmp "$disk" "$WORK/asked.img"

# --- a medium that lies: writes go to one place, later reads come from another.
if command -v dmsetup > /dev/null && dmsetup create "muletto-90-lie-$$" --table "0 524288 linear $other 0" 2> /dev/null
then
  lie=/dev/mapper/muletto-90-lie-$$
  on_exit dmsetup remove --retry "muletto-90-lie-$$"
  dd if=/dev/zero of="$lie" bs=1M count=256 status=none oflag=direct
  # Its tail is read from /dev/zero's kin, the error-free "zero" target, which swallows writes.
  dmsetup suspend "muletto-90-lie-$$"
  dmsetup load "muletto-90-lie-$$" --table "0 40960 linear $other 0
40960 483328 zero"
  dmsetup resume "muletto-90-lie-$$"
  expect_failure 1 "returns other bytes at" restore --to "$lie"
fi

# --- a whole machine set back in place, all targets checked before the first is written.
muletto store import "$store" --machine two --disk "vda=$disk" --disk "vdb=$disk" > /dev/null
cp "$disk" "$WORK/a.img"
printf x | dd of="$WORK/a.img" bs=1 seek=50000000 conv=notrunc status=none
hash=$(sha256sum < "$WORK/a.img")
expect_failure 2 "100.0 MiB" muletto-restore machine --store "$store" two@latest --to "$WORK/two" --in-place \
  --target "vda=$WORK/a.img" --target "vdb=$device" --overwrite two
[ "$hash" = "$(sha256sum < "$WORK/a.img")" ] || fail "the first was written though the second is too small"
[ ! -e "$WORK/two" ] || fail "a folder was made"
expect_failure 3 "vdx" muletto-restore machine --store "$store" two@latest --to "$WORK/two" --target "vdx=$WORK/a.img"
muletto-restore machine --store "$store" two@latest --to "$WORK/two" --in-place --target "vda=$WORK/a.img" \
  --overwrite two -o json > "$WORK/out.json" 2> /dev/null
is '.disks[0].written == 65536 and .disks[1].written > 120 * 1048576'
cmp "$disk" "$WORK/a.img"
cmp "$disk" "$WORK/two/vdb.img"

# --- for other hypervisors, read back by tools that are not ours, and by our own reader of exports.
require_commands xmllint tar
muletto store import "$store" --machine "shop <&> 'x'" --disk "vda=$disk" --disk "vdb=$WORK/two/vdb.img" \
  --firmware uefi --cpus 2 --memory 1GiB > /dev/null
export_as() {
  muletto-restore machine --store "$store" "shop <&> 'x'@latest" --to "$WORK/as-$1" --as "$1" "${@:2}" > "$WORK/files" \
    2> "$WORK/export.log" || fail "$(cat "$WORK/export.log")"
}
export_as ova
mkdir "$WORK/ova"
tar -C "$WORK/ova" -xf "$WORK/as-ova/shop <&> 'x'.ova"
[ "$(ls -A "$WORK/as-ova" | wc -l)" = 1 ] || fail "left behind: $(ls -A "$WORK/as-ova")"
[ "$(tar -tf "$WORK/as-ova/shop <&> 'x'.ova" | sed -n 1p)" = machine.ovf ] || fail "the descriptor is not first"
xmllint --noout "$WORK/ova/machine.ovf"
[ "$(xmllint --xpath 'string(//*[local-name()="VirtualSystem"]/*[local-name()="Name"])' "$WORK/ova/machine.ovf")" \
  = "shop <&> 'x'" ] || fail "another name: $(cat "$WORK/ova/machine.ovf")"
(cd "$WORK/ova" && sed -E 's/^SHA256\((.*)\)= (.*)$/\2  \1/' machine.mf | sha256sum --quiet -c)
for number in 1 2; do
  [ "$(qemu-img info --output json "$WORK/ova/disk$number.vmdk" | jq -r '.["format-specific"].data["create-type"]')" \
    = streamOptimized ] || fail "not streamOptimized"
  qemu-img compare -q -f vmdk -F raw "$WORK/ova/disk$number.vmdk" "$disk" || fail "disk $number of the OVA differs"
done
muletto store import "$store" "$WORK/as-ova/shop <&> 'x'.ova" --machine back > /dev/null
muletto-restore machine --store "$store" back@latest --to "$WORK/back" > /dev/null 2>&1
for image in "$WORK"/back/*.img; do cmp "$disk" "$image"; done
expect_failure 4 "exists" muletto-restore machine --store "$store" "shop <&> 'x'@latest" --to "$WORK/as-ova" --as ova
expect_failure 2 "makes new files" muletto-restore machine --store "$store" web@latest --to "$WORK/no" --as ova --in-place
export_as hyperv
qemu-img compare -q -f vhdx -F raw "$WORK/as-hyperv/vda.vhdx" "$disk" || fail "the VHDX differs"
has "New-VM -Name \$name -Generation 2" "$WORK/as-hyperv/shop <&> 'x'.ps1" || fail "no generation 2"
has "'shop <&> ''x'''" "$WORK/as-hyperv/shop <&> 'x'.ps1" || fail "its name is not quoted"
export_as proxmox --vmid 104
qemu-img compare -q -f qcow2 -F raw "$WORK/as-proxmox/vm-104-disk-1.qcow2" "$disk" || fail "the qcow2 differs"
has "virtio1: local:104/vm-104-disk-1.qcow2,size=262144K" "$WORK/as-proxmox/104.conf" || fail "$(cat "$WORK/as-proxmox/104.conf")"
