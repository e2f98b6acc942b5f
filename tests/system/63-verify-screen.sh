#!/usr/bin/env bash
# timeout: 900
# Test boots that a person would have helped along: a screen that is dark is woken by the Shift key and read, and disks
# that only the other firmware can start are started with it.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh tesseract sfdisk mkfs.vfat
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt
record_api

state=$WORK/state

# A guest that shows what it has on its screen alone, and blanks that before its login prompt is written: no service, no
# network, nothing on the serial line.
mkdir -p "$WORK/extra/etc/init.d"
cat > "$WORK/extra/etc/init.d/rcS" << 'RC'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
hostname -F /etc/hostname
echo 1 > /proc/sys/kernel/printk
sleep 15
RC
chmod 755 "$WORK/extra/etc/init.d/rcS"
printf '%s\n' '::sysinit:/etc/init.d/rcS' 'tty1::respawn:/bin/getty 38400 tty1 linux' '::ctrlaltdel:/bin/reboot' > "$WORK/extra/etc/inittab"
"$SOURCE/tests/guests/build-guest" "$WORK/dark.img" --hostname dark --firmware uefi --size 128 --no-agent --extra "$WORK/extra" --kernel-args "consoleblank=5 no_timer_check"

# Boot code for a BIOS, and an EFI system partition that has nothing to start: UEFI is tried first, in vain.
"$SOURCE/tests/guests/build-guest" "$WORK/both.img" --hostname both --size 128 --kernel-args no_timer_check
truncate -s +16M "$WORK/both.img"
start=$(($(stat -c %s "$WORK/both.img") / 512 - 32768))
echo "start=$start, size=32768, type=ef" | sfdisk -q --append "$WORK/both.img"
truncate -s 16M "$WORK/esp.img" && mkfs.vfat "$WORK/esp.img" > /dev/null
dd if="$WORK/esp.img" of="$WORK/both.img" bs=512 seek="$start" conv=notrunc status=none

mkdir -p "$state/stores"
muletto store init "$state/stores/default"
for machine in dark both; do
  muletto store import "$state/stores/default" --machine "$machine" --disk "vda=$WORK/$machine.img" --format raw > /dev/null
done
printf '[verification]\nwatch_on = "3s"\n' > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default > /dev/null

# seen MACHINE   a test boot; its report is in $WORK/seen.json
seen() {
  muletto verify start "$1@latest" -o json > "$WORK/seen.json" || true
  jq -c '.verification | {verdict, reasons}' < "$WORK/seen.json"
}
is() { jq -e "$1" < "$WORK/seen.json" > /dev/null || fail "$2: $(jq -c '.verification | {verdict, reasons, evidence}' < "$WORK/seen.json")"; }

seen dark
is '[.verification.evidence[] | select((.detail // "") | test("pressed the Shift key to wake it"))] | length >= 1' "the screen was not woken"
is '.verification.verdict == "pass"' "not a pass"
is '[.verification.evidence[] | select(.signal == "screen" and ((.meaning // "") | test("asks for a user")))] | length > 0' "the login was not read from the screen"

seen both
is '.verification.verdict == "pass"' "not a pass"
is '.verification.reasons | any(test("start it with --firmware bios"))' "the other firmware is not named"
pass
