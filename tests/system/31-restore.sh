#!/usr/bin/env bash
# timeout: 300
# muletto-restore writes disks out of a store: every format, files and block devices, and never half a file.
. "$(dirname "$0")/lib.sh"

require_commands qemu-img jq cmp nbdkit
require_programs muletto muletto-restore nbdkit-muletto-plugin.so

head -c 20000000 /dev/urandom > "$WORK/disk.img"
truncate -s 100M "$WORK/disk.img"
dd of="$WORK/disk.img" bs=1M seek=60 conv=notrunc status=none <<< "$(printf 'compressible %.0s' {1..200000})"
muletto store init "$WORK/store"
muletto store import "$WORK/store" --machine files --disk "vda=$WORK/disk.img"
restore() {
  muletto-restore disk --store "$WORK/store" files@latest --disk vda "$@"
}

restore --to "$WORK/out.raw" -o json | jq -e '.size == 104857600 and .written < 32000000' > /dev/null
cmp "$WORK/disk.img" "$WORK/out.raw"
[ "$(stat -c %b "$WORK/out.raw")" -lt 70000 ] || fail "the holes were written"
for format in qcow2 vmdk vhdx vdi vpc qcow qed parallels; do
  restore --to "$WORK/out.$format" --format "$format"
  qemu-img compare -q -f "$format" -F raw "$WORK/out.$format" "$WORK/disk.img" || fail "$format differs"
done

# Only over what is there when told so; a failure leaves what was there.
expect_failure 4 "--overwrite 'files'" restore --to "$WORK/out.raw"
echo old > "$WORK/old.raw"
expect_failure 4 "'web' is another name" restore --to "$WORK/old.raw" --overwrite web
[ "$(cat "$WORK/old.raw")" = old ] || fail "it was overwritten under another name"
restore --to "$WORK/old.raw" --overwrite files
cmp "$WORK/disk.img" "$WORK/old.raw"
expect_failure 2 "no format" restore --to "$WORK/x" --format docx
expect_failure 2 "folder" restore --to "$WORK" --overwrite files
expect_failure 3 "vdb" muletto-restore disk --store "$WORK/store" files@latest --disk vdb --to "$WORK/x"
expect_failure 3 "nobody" muletto-restore disk --store "$WORK/store" nobody@latest --disk vda --to "$WORK/x"
expect_failure 3 "" restore --to "$WORK/no/such/folder/x"

muletto-restore machine --store "$WORK/store" files@latest --to "$WORK/machine"
cmp "$WORK/disk.img" "$WORK/machine/vda.img"
muletto-restore points --store "$WORK/store" -o json | jq -e '.points[0].machine == "files"' > /dev/null

if [ "$(id -u)" -eq 0 ] && mkdir "$WORK/small" && mount -t tmpfs -o size=8M tmpfs "$WORK/small" 2> /dev/null; then
  on_exit umount "$WORK/small"
  expect_failure 7 "full" restore --to "$WORK/small/out.raw"
  expect_failure 7 "full" restore --to "$WORK/small/out.qcow2" --format qcow2
  [ -z "$(ls -A "$WORK/small")" ] || fail "left behind: $(ls -A "$WORK/small")"
fi

# A block device: whole, zeros too; never one that is too small, or without the machine's name.
if [ "$(id -u)" -eq 0 ]; then
  head -c 104857600 /dev/urandom > "$WORK/device"
  truncate -s 50M "$WORK/device.small"
  if device=$(losetup -f --show "$WORK/device"); then
    on_exit losetup -d "$device"
    small=$(losetup -f --show "$WORK/device.small")
    on_exit losetup -d "$small"
    expect_failure 4 "holds data of an unknown kind" restore --to "$device"
    expect_failure 2 "50.0 MiB" restore --to "$small" --overwrite files
    restore --to "$device" --overwrite files
    cmp "$WORK/disk.img" "$device"
  fi
fi

# What a VM has open is not written over, whether it is a file or a device.
in_use() {
  qemu-nbd -f raw -k "$WORK/in-use.sock" "$1" &
  local server=$!
  wait_until 10 "qemu-nbd serves" test -S "$WORK/in-use.sock"
  expect_failure 4 "is in use: a virtual machine or another restore has it open" \
    muletto-restore disk --store "$WORK/store" files@latest --disk vda --to "$1" --overwrite files
  kill "$server"
  wait "$server" 2> /dev/null || true
}
head -c 1M /dev/zero > "$WORK/in-use.img"
in_use "$WORK/in-use.img"
if [ "$(id -u)" -eq 0 ] && device=$(losetup --find --show "$WORK/in-use.img" 2> /dev/null); then
  on_exit losetup --detach "$device"
  in_use "$device"
fi
[ "$(sha256sum < "$WORK/in-use.img")" = "$(head -c 1M /dev/zero | sha256sum)" ] || fail "it was written"

# Interrupted: the exit code says so, no file is there.
head -c 600000000 /dev/urandom > "$WORK/large.img"
muletto store import "$WORK/store" --machine large --disk "vda=$WORK/large.img"
begun() { compgen -G "$WORK/.gone.$1.*.part" > /dev/null; }
for format in raw qcow2; do
  muletto-restore disk --store "$WORK/store" large@latest --to "$WORK/gone.$format" --format "$format" --threads 1 \
    > "$WORK/gone.log" 2>&1 &
  restoring=$!
  until begun "$format" || ! kill -0 "$restoring" 2> /dev/null; do :; done
  kill -TERM "$restoring"
  status=0
  wait "$restoring" || status=$?
  [ ! -e "$WORK/gone.$format" ] || fail "an interrupted restore left its file"
  [ "$status" -eq 130 ] || fail "status $status after an interruption: $(cat "$WORK/gone.log")"
done
leftovers=$(find "$WORK" -name '.*.part')
[ -z "$leftovers" ] || fail "left behind: $leftovers"
wait_until 5 "no export is left" sh -c "! pgrep -f '[n]bdkit .*store=$WORK/store'"
