#!/usr/bin/env bash
# timeout: 400
# Machines as people have them, started: a loader that only the old computer's firmware knew, an EFI system partition
# without a loader, sectors of 4096 bytes, disks of several buses moved to one, a definition that libvirt refuses.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh mmd mcopy mdel sfdisk losetup
require_programs muletto mulettod nbdkit-muletto-plugin.so
ensure_libvirt
start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI"
stop_background mulettod
store=$WORK/state/stores/default

check() { muletto boot check "$@" -o json > "$WORK/check" || [ $? -eq 2 ]; }
reasons() { json '.check.reasons | join("; ")' < "$WORK/check"; }

echo "a loader under another name, and no variables"
"$SOURCE/tests/guests/build-guest" "$WORK/moved.img" --hostname moved --firmware uefi
esp=$WORK/moved.img@@$(($(sfdisk -J "$WORK/moved.img" | json '.partitiontable.partitions[] | select(.type | startswith("C12A7328")) | .start') * 512))
mmd -i "$esp" ::/EFI/debian
mcopy -i "$esp" ::/EFI/BOOT/BOOTX64.EFI "$WORK/loader"
mcopy -i "$esp" "$WORK/loader" ::/EFI/debian/grubx64.efi
mdel -i "$esp" ::/EFI/BOOT/BOOTX64.EFI
muletto store import "$store" --machine moved --disk "vda=$WORK/moved.img" --format raw > /dev/null
mdel -i "$esp" ::/EFI/debian/grubx64.efi
muletto store import "$store" --machine empty --disk "vda=$WORK/moved.img" --format raw > /dev/null
rm "$WORK/moved.img" "$WORK/loader"

echo "sectors of 4096 bytes"
truncate -s 64M "$WORK/large.img"
loop=$(losetup --find --show --sector-size 4096 "$WORK/large.img")
printf 'label: gpt\nstart=256, size=4096, type=U\n' | sfdisk -q "$loop" || { losetup -d "$loop"; fail "no table of partitions"; }
losetup -d "$loop"
muletto store import "$store" --machine large --disk "vda=$WORK/large.img" --format raw > /dev/null

start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI"
check moved@latest
[ -z "$(reasons)" ] || fail "it cannot be started: $(reasons)"
json '.check.notes | join("; ")' < "$WORK/check" | has -F '\EFI\debian\grubx64.efi' || fail "no word of the loader: $(cat "$WORK/check")"
muletto boot start moved@latest --network nat --wait --http / --timeout 4m > "$WORK/started"
muletto boot stop moved --discard --yes > /dev/null
check empty@latest
json '.check.notes | join("; ")' < "$WORK/check" | has "nothing to start" || fail "no word of the missing loader: $(cat "$WORK/check")"
check large@latest
[ -z "$(reasons)" ] || fail "it cannot be started: $(reasons)"
check large@latest --disk-bus sata
reasons | has "sectors of 4096 bytes" || fail "the reasons: $(reasons)"
muletto boot start large@latest > /dev/null
virsh dumpxml "$(virsh list --name | grep muletto-large)" | has "logical_block_size='4096'" || fail "the VM's disk has small sectors"
muletto boot stop large --discard --yes > /dev/null
check moved@latest --network isolated --network nat
reasons | has "2 networks are given" || fail "the reasons: $(reasons)"

echo "what libvirt refuses is known before the start"
check moved@latest --cpus 200 --disk-bus ide
[ -n "$(reasons)" ] || muletto boot start moved@latest --cpus 200 --disk-bus ide > /dev/null || fail "the check said yes to what failed"
pass
