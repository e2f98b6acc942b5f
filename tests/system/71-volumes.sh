#!/usr/bin/env bash
# timeout: 900
# Test boots look into what LVM, software RAID and LUKS make of disks: volumes made by lvm2, cryptsetup, QEMU, and a
# RAID 1 of which one member is left, are checked like plain file systems; without a key an encrypted one is "not
# checked", and a damaged file system inside a volume is a fail. Keys are nowhere to be seen.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit nbdfuse virsh tesseract pvcreate lvcreate cryptsetup mdadm losetup debugfs grub-fstest
require_programs mulettod muletto muletto-volumes nbdkit-muletto-plugin.so
ensure_libvirt
record_api

state=$WORK/state run=$WORK/run
printf '[verification]\nwatch_on = "1s"\n' > "$WORK/mulettod.toml"
secret="correct horse $RANDOM$RANDOM"
printf %s "$secret" > "$WORK/secret"

# file_system FILE MIB   an ext4 file system with a Debian's name on it.
mkdir -p "$WORK/root/usr/lib" "$WORK/root/etc"
echo 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"' > "$WORK/root/usr/lib/os-release"
file_system() {
  truncate -s "$2M" "$1"
  mke2fs -q -F -t ext4 -b 1024 -d "$WORK/root" "$1"
}

# ---- LVM: two physical volumes, a linear and a striped logical volume. There is no device mapper: lvm2 only describes
# them, and the content is put where it says.
export LVM_SYSTEM_DIR=$WORK/lvm LVM_SUPPRESS_FD_WARNINGS=1
mkdir "$LVM_SYSTEM_DIR"
lvm_quietly() { "$@" --driverloaded n > "$WORK/lvm.log" 2>&1; }
truncate -s 64M "$WORK/pv0.img" "$WORK/pv1.img"
loop0=$(losetup -f --show "$WORK/pv0.img") && on_exit losetup -d "$loop0"
loop1=$(losetup -f --show "$WORK/pv1.img") && on_exit losetup -d "$loop1"
group=vg$$
lvm_quietly pvcreate -ff -y "$loop0" "$loop1"
lvm_quietly vgcreate -s 1M "$group" "$loop0" "$loop1"
lvm_quietly lvcreate -y -an -Zn -Wn -n gap -L 3M "$group"
lvm_quietly lvcreate -y -an -Zn -Wn -n root -L 24M "$group"
lvm_quietly lvcreate -y -an -Zn -Wn -n striped -i 2 -I 64 -L 24M "$group"
sync
file_system "$WORK/fs.img" 24
# first_extent VOLUME LOOP   where its part on that physical volume begins, in MiB; the first extent is at 1 MiB.
first_extent() {
  local ranges
  ranges=$(lvs --noheadings -o seg_pe_ranges --driverloaded n "$group/$1" 2> /dev/null)
  sed -nE "s#.*$2:([0-9]+)-.*#\1#p" <<< "$ranges"
}
put_volumes() {
  python3 - "$@" <<'PYTHON'
import sys
fs, pv0, pv1, linear, striped0, striped1 = sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:7])
data = open(fs, 'rb').read()
files = [open(pv0, 'r+b'), open(pv1, 'r+b')]
files[0].seek((1 + linear) << 20)
files[0].write(data)
for number in range(len(data) >> 16):
    side = number % 2
    files[side].seek((1 + (striped0, striped1)[side] << 20) + (number // 2 << 16))
    files[side].write(data[number << 16:number + 1 << 16])
PYTHON
}
linear=$(first_extent root "$loop0") striped0=$(first_extent striped "$loop0") striped1=$(first_extent striped "$loop1")
put_volumes "$WORK/fs.img" "$WORK/pv0.img" "$WORK/pv1.img" "$linear" "$striped0" "$striped1"

# ---- LUKS: version 1 by QEMU, with a file system and with a physical volume in it; version 2 by cryptsetup, with
# Argon2, for the same key and data.
encrypted() {
  qemu-img convert -f raw -O luks --object "secret,id=s,file=$WORK/secret" -o key-secret=s,iter-time=50 "$1" "$2"
}
encrypted "$WORK/fs.img" "$WORK/luks1.img"
cryptsetup luksDump --batch-mode --dump-volume-key --key-file "$WORK/secret" --volume-key-file "$WORK/volume-key" \
  "$WORK/luks1.img" > /dev/null
truncate -s 40M "$WORK/luks2.img"
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf argon2id --pbkdf-memory 65536 --pbkdf-parallel 1 \
  --pbkdf-force-iterations 4 --sector-size 512 --cipher aes-xts-plain64 --key-size 512 \
  --volume-key-file "$WORK/volume-key" "$WORK/luks2.img" "$WORK/secret"
payload1=$(cryptsetup luksDump "$WORK/luks1.img" | awk '/Payload offset/ { print $3 }')
payload2=$(cryptsetup luksDump "$WORK/luks2.img" | awk '/offset:/ { if (!n++) print $2 }')
dd if="$WORK/luks1.img" of="$WORK/luks2.img" bs=512 skip="$payload1" seek=$((payload2 / 512)) conv=notrunc status=none
truncate -s 40M "$WORK/inner.img"
loop2=$(losetup -f --show "$WORK/inner.img") && on_exit losetup -d "$loop2"
lvm_quietly pvcreate -ff -y "$loop2"
lvm_quietly vgcreate -s 1M "in$group" "$loop2"
lvm_quietly lvcreate -y -an -Zn -Wn -n home -L 24M "in$group"
sync
dd if="$WORK/fs.img" of="$WORK/inner.img" bs=1M seek=1 conv=notrunc status=none
encrypted "$WORK/inner.img" "$WORK/stack.img"

# ---- RAID 1, of which the point has one member. mdadm makes none without the kernel's driver: it judges ours.
truncate -s 32M "$WORK/member.img"
dd if="$WORK/fs.img" of="$WORK/member.img" bs=1M seek=1 conv=notrunc status=none
python3 - "$WORK/member.img" <<'PYTHON'
import struct, sys
sectors, begin = (32 << 20) // 512, 2048
block = bytearray(256 + 2 * 128)
struct.pack_into('<IIII', block, 0, 0xa92b4efc, 1, 0, 0)
block[16:32], block[32:37] = b'sixteen bytes id', b'web:0'
struct.pack_into('<iIQII', block, 72, 1, 0, 24 * 2048, 0, 2)
struct.pack_into('<QQQQI', block, 128, begin, sectors - begin, 8, 0, 1)
struct.pack_into('<Q', block, 200, 40)
struct.pack_into('<I', block, 220, 128)
for place in range(128):
    struct.pack_into('<H', block, 256 + 2 * place, place if place < 2 else 0xffff)
total = sum(struct.unpack('<%dI' % (len(block) // 4), block))
struct.pack_into('<I', block, 216, ((total & 0xffffffff) + (total >> 32)) & 0xffffffff)
with open(sys.argv[1], 'r+b') as disk:
    disk.seek(4096)
    disk.write(block)
PYTHON
mdadm --examine "$WORK/member.img" > "$WORK/examined" || fail "mdadm does not see the member"
grep -q 'Checksum : .* correct' "$WORK/examined" || fail "mdadm finds the member damaged: $(< "$WORK/examined")"

# ---- the machine
"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web --size 128
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
disks=(--disk "vdb=$WORK/pv0.img" --disk "vdc=$WORK/pv1.img" --disk "vdd=$WORK/luks1.img" --disk "vde=$WORK/luks2.img"
  --disk "vdf=$WORK/stack.img" --disk "vdg=$WORK/member.img")
import() { muletto store import "$state/stores/default" --machine "$1" --disk "vda=$WORK/web.img" "${disks[@]}" --format raw > /dev/null; }
import web
# Another machine, whose logical volume is damaged inside.
table=$(dumpe2fs "$WORK/fs.img" 2> /dev/null | awk '/Inode table at/ { sub(/-.*/, "", $4); if (!n++) print $4 }')
head -c 4096 /dev/urandom | dd of="$WORK/pv0.img" bs=1024 seek=$(((1 + linear) * 1024 + table)) conv=notrunc status=none
import damaged
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default > /dev/null

# verdict SELECTOR EXPECTED
verdict() {
  muletto verify start "$1" -o json > "$WORK/seen.json" || true
  [ "$(json .verification.verdict < "$WORK/seen.json")" = "$2" ] \
    || fail "$1: $(jq -c '.verification | {verdict, reasons}' < "$WORK/seen.json")"
}
reasons() { jq -r '.verification.reasons[]' < "$WORK/seen.json"; }
expect_reason() { reasons | has -E "$1" || fail "no reason like '$1': $(reasons)"; }
checked() {
  jq -e --arg name "$1" '[.verification.evidence[] | select(.signal == "file system" and .good)
    | select(.subject | startswith($name + " ("))] | length == 1' < "$WORK/seen.json" > /dev/null \
    || fail "$1 was not checked and found whole: $(reasons)"
}

# Without a key: what is encrypted is named, and nothing is damage.
verdict web@latest pass
for volume in "$group/root" "$group/striped" md/0; do checked "$volume"; done
expect_reason "^$group/root holds Debian GNU/Linux 12"
expect_reason 'array md/0 the point has 1 of 2 members'
for disk in vdd vde vdf; do
  expect_reason "^$disk was not checked: it is encrypted \(LUKS2?\), and no key was given; 'muletto verify key'"
done

# A wrong key, and then the right one, which is shown nowhere.
echo nonsense | muletto verify key web --add "root disk" --passphrase-file - > /dev/null
expect_failure 2 "either --passphrase-file or --key-file" muletto verify key web --add "root disk"
expect_failure 3 "" muletto verify key web --remove "nothing"
expect_failure 3 "" muletto verify key nobody
muletto verify key web --add "other" --passphrase-file "$WORK/secret" > /dev/null
muletto verify key web | has "^root disk  added" || fail "the key is not listed"
! muletto verify key web -o json | has "horse" || fail "a key is shown"
[ "$(stat -c %a "$state/volume-keys")" = 700 ] && [ "$(stat -c %a "$state"/volume-keys/*)" = 600 ] || fail "keys are readable by others"
(for _ in {1..400}; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr '\0' ' ' | grep -aFf "$WORK/secret" && break; sleep 0.1; done) \
  > "$WORK/leaked" &
watcher=$!
verdict web@latest pass
kill "$watcher" 2> /dev/null || true
[ ! -s "$WORK/leaked" ] || fail "the key was among a program's arguments"
for volume in "$group/root" vdd:luks vde:luks "in$group/home" md/0; do checked "$volume"; done
expect_reason "Checked and whole: .*in$group/home \(ext4; LVM on LUKS on vdf\)"
! grep -rqF "$secret" "$WORK"/*.log "$state"/catalog.sqlite || fail "the key is in a log or in the catalog"
[ -z "$(find /run -maxdepth 1 -name 'muletto-volumes*')" ] || fail "keys were left in /run: $(ls /run)"
muletto verify key web --remove other > /dev/null
muletto verify key web --remove "root disk" | has "no key of web" || fail "a key is left"

verdict damaged@latest fail
reasons | sed -n 1p | has "file system on $group/root .* is damaged" || fail "the wrong reason: $(reasons)"

# Descriptions that lie: nothing of them is taken for damage, and the verdict is there.
for image in pv0 luks2 member stack; do
  for _ in {1..40}; do
    printf "\\x$(printf %02x $((RANDOM % 256)))" | dd of="$WORK/$image.img" bs=1 seek=$((RANDOM % 16384)) conv=notrunc status=none
  done
done
disks=(--disk "vdb=$WORK/pv0.img" --disk "vde=$WORK/luks2.img" --disk "vdf=$WORK/stack.img" --disk "vdg=$WORK/member.img")
stop_background mulettod
import liar
start_appliance --config "$WORK/mulettod.toml"
verdict liar@latest pass
