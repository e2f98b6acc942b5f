#!/usr/bin/env bash
# The rescue image: built from this machine's packages, started in QEMU on a computer with an empty disk, it restores a
# small guest without a question, makes it fit, and the guest boots to its service. And what it refuses.
# timeout: 900
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore muletto-parse
require_commands qemu-system-x86_64 qemu-img xorriso grub-mkimage mformat sgdisk setpriv openssl debugfs curl

build_rescue() { # build_rescue DIR [OPTION...]
  "$SOURCE/scripts/build-rescue" --output "$@" --modules virtual --programs "$(dirname "$(command -v muletto-restore)")" \
    > "$WORK/build.log" 2>&1 || fail "$(cat "$WORK/build.log")"
}

# ---- a guest with names of devices that will be wrong, and a maker of initramfs that is up to no good
mkdir -p "$WORK/extra/etc/network" "$WORK/extra/etc/systemd" "$WORK/extra/usr/sbin" "$WORK/extra/var/log"
printf '%s\n' '/dev/vda1 / ext4 defaults 0 1' '/dev/disk/by-id/gone /data ext4 nofail 0 2' > "$WORK/extra/etc/fstab"
printf 'auto ens3\niface ens3 inet dhcp\n' > "$WORK/extra/etc/network/interfaces"
cat > "$WORK/extra/usr/sbin/update-initramfs" <<'MAKER'
#!/bin/sh
# What it can reach is written down for the test.
{
  echo "arguments $*"
  echo "id $(id -u)"
  ls /sys/class/net | tr '\n' ' '
  echo
  ls /run/muletto 2>&1
  [ -e /usr/bin/muletto-restore ] && echo "sees the rescue system"
  mknod /dev/disk b 254 0 2> /dev/null && echo "made a device"
  mount -t tmpfs none /tmp 2> /dev/null && echo "mounted"
  cat /proc/1/comm
  ls -d /proc/[0-9]* | wc -l
} > /var/log/maker
MAKER
chmod +x "$WORK/extra/usr/sbin/update-initramfs"
"$SOURCE/tests/guests/build-guest" "$WORK/shop.raw" --hostname shop --size 160 --extra "$WORK/extra"

start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
write_agent_config agent "shop=$WORK/shop.raw"
enroll_agent hv1 --config "$WORK/agent.toml" > /dev/null
muletto-agent sync shop --config "$WORK/agent.toml" --quiet > /dev/null
port=$(appliance_address)
port=${port##*:}

# rescue_words [WORD...]: kernel arguments with a fresh code; slirp's host is where the appliance is.
rescue_words() {
  echo "muletto.appliance=10.0.2.2:$port muletto.fingerprint=$(appliance_fingerprint)" \
    "muletto.code=$(muletto rescue code shop -o json | json .rescue.code) muletto.machine=shop muletto.reboot=poweroff $*"
}
# start_computer NAME DISK OPTION...
start_computer() {
  start_background "$1" qemu-system-x86_64 -accel tcg -m 640 -nographic -no-reboot -nodefaults -serial "file:$WORK/$1.serial" \
    -nic user,model=virtio-net-pci -drive "file=$2,format=raw,if=virtio" "${@:3}"
}
has_said() { has -a "$2" "$WORK/$1.serial"; }
has_ended() { ! background_alive "$1"; }

# ---- from kernel and initrd, as PXE would start it: a larger, empty disk
build_rescue "$WORK/rescue" --no-iso
truncate -s 200M "$WORK/iron.raw"
start_computer pxe "$WORK/iron.raw" -kernel "$WORK/rescue/vmlinuz" -initrd "$WORK/rescue/initrd" \
  -append "console=ttyS0 mitigations=off quiet $(rescue_words)"
wait_until 300 "it is restored" has_ended pxe
has_said pxe "RESCUE DONE" || fail "$(tail -n 40 "$WORK/pxe.serial")"
has_said pxe "/etc/fstab: names of devices became UUIDs" || fail "$(tail -n 40 "$WORK/pxe.serial")"
has_said pxe "NOT changed: /etc/fstab names /dev/disk/by-id/gone" || fail "$(tail -n 40 "$WORK/pxe.serial")"
has_said pxe "initramfs was made again by update-initramfs" || fail "$(tail -n 40 "$WORK/pxe.serial")"
has_said pxe "is called ens3" || fail "$(tail -n 40 "$WORK/pxe.serial")"
[ "$(muletto job list --kind fetch -o json | json '.jobs[0].requested_by')" = "rescue 1" ] || fail "who read is not said"

# ---- what is on its disk
file_of() { debugfs -R "cat $1" "$WORK/root.ext4" 2> /dev/null; }
dd if="$WORK/iron.raw" of="$WORK/root.ext4" bs=1M skip=1 count=158 status=none
file_of /etc/fstab > "$WORK/fstab"
has "^UUID=[0-9a-f-]* / ext4" "$WORK/fstab" || fail "fstab: $(cat "$WORK/fstab")"
file_of /var/log/muletto-rescue.log | has "UUIDs" || fail "the changes are not kept"
file_of /var/log/maker > "$WORK/maker"
has "arguments -u -k all" "$WORK/maker" || fail "the maker: $(cat "$WORK/maker")"
for evil in "sees the rescue" "made a device" "mounted" eth0 enp token; do
  ! has "$evil" "$WORK/maker" || fail "the restored system's program went too far: $(cat "$WORK/maker")"
done

# ---- it boots, to its service
web=$(free_port)
start_background shop qemu-system-x86_64 -accel tcg -m 256 -nographic -nodefaults -serial "file:$WORK/shop.serial" \
  -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$web-:80" -drive "file=$WORK/iron.raw,format=raw,if=virtio"
serves() { curl -s -m 5 "http://127.0.0.1:$web/" | has "hello from shop"; }
wait_until 120 "the restored machine serves" serves
stop_background shop

# ---- a disk that is not empty, and a code that was used: nothing is written
sum=$(sha256sum < "$WORK/iron.raw")
start_computer refused "$WORK/iron.raw" -kernel "$WORK/rescue/vmlinuz" -initrd "$WORK/rescue/initrd" \
  -append "console=ttyS0 mitigations=off quiet $(rescue_words)"
refused() { has_said refused "RESCUE FAILED"; }
wait_until 180 "it is refused" refused
stop_background refused
has_said refused "holds.*partition table" || fail "$(tail -n 20 "$WORK/refused.serial")"
has_said refused "the disk vda was not restored" || fail "$(tail -n 20 "$WORK/refused.serial")"
[ "$(sha256sum < "$WORK/iron.raw")" = "$sum" ] || fail "a disk that is not empty was written"

# ---- the ISO, started by a BIOS, onto a disk that still holds an older state: only what differs
build_rescue "$WORK/iso" --arguments "mitigations=off $(rescue_words muletto.overwrite=shop)"
start_computer bios "$WORK/iron.raw" -cdrom "$WORK/iso/muletto-rescue.iso" -boot d
wait_until 300 "it is restored" has_ended bios
has_said bios "RESCUE DONE" || fail "$(tail -n 40 "$WORK/bios.serial")"
pass
