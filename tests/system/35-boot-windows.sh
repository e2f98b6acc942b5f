#!/usr/bin/env bash
# timeout: 500
# Windows on hardware it did not have: the drivers of its new controllers are switched on in the instant VM's overlay,
# never in the point, also if Windows was running (its NTFS not closed, its newest changes in the hive's logs); they are
# taken back by a command; a boot configuration that leads nowhere is said; VirtIO that it has had is kept; and what
# cannot be done is said. The disks are NTFS with hives made by hivex's own tools in the shape of Windows 10 and Server
# 2019; the judge is hivexregedit. No Windows starts here.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh sfdisk mkntfs ntfs-3g ntfscat hivexregedit python3 qemu-storage-daemon
require_programs muletto mulettod muletto-windows muletto-sandbox nbdkit-muletto-plugin.so
ensure_libvirt
record_api
start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI"
stop_background mulettod
store=$WORK/state/stores/default
prefix='HKEY_LOCAL_MACHINE\SYSTEM'

# key NAME [VALUE...]   of the .reg file that is being written
key() {
  printf '\n[%s\\%s]\n' "$prefix" "$1"
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@"
}

# control_set NAME   as on a machine that was installed on an Intel RAID controller
control_set() {
  local driver
  key "$1" && key "$1\\Control" && key "$1\\Control\\Session Manager"
  key "$1\\Control\\Session Manager\\Power" '"HiberbootEnabled"=dword:00000001'
  key "$1\\Services"
  for driver in storahci stornvme; do
    key "$1\\Services\\$driver" '"Start"=dword:00000003' '"Type"=dword:00000001' '"ErrorControl"=dword:00000003'
    key "$1\\Services\\$driver\\StartOverride" '"0"=dword:00000003'
  done
  for driver in intelide pciide atapi; do key "$1\\Services\\$driver" '"Start"=dword:00000003'; done
  key "$1\\Services\\iaStorV" '"Start"=dword:00000000'
  key "$1\\Services\\e1iexpress" '"Start"=dword:00000004'
  key "$1\\Services\\Tcpip" '"Start"=dword:00000002'
}

python3 "$(dirname "$0")/make_hive.py" "$WORK/SYSTEM"
{
  echo 'Windows Registry Editor Version 5.00'
  key Select '"Current"=dword:00000001' '"LastKnownGood"=dword:00000002'
  control_set ControlSet001
  control_set ControlSet002
} > "$WORK/system.reg"
hivexregedit --merge --prefix "$prefix" "$WORK/SYSTEM" "$WORK/system.reg"

# disk NAME gpt|mbr HIVE [HIBERFIL]   NAME.img, whose NTFS has that hive, and the files of the folder "extra" if there is one
start_bytes=$((34816 * 512))
disk() {
  local table='label: dos\nstart=2048, size=32768, type=7, bootable\nstart=34816, type=7\n'
  [ "$2" = mbr ] || table='label: gpt\nstart=2048, size=16384, type=U\nstart=18432, size=16384, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\nstart=34816, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n'
  truncate -s 96M "$WORK/$1.img" && truncate -s 78M "$WORK/ntfs"
  printf "$table" | sfdisk -q "$WORK/$1.img"
  mkntfs -Q -F -q -p 34816 "$WORK/ntfs" > /dev/null 2>&1
  mkdir -p "$WORK/tree"
  ntfs-3g -o no_detach "$WORK/ntfs" "$WORK/tree" &
  server=$!
  wait_until 20 "the NTFS is mounted" mountpoint -q "$WORK/tree"
  mkdir -p "$WORK/tree/Windows/System32/config" && cp --sparse=never "$3" "$WORK/tree/Windows/System32/config/SYSTEM"
  [ -z "${4:-}" ] || { printf '%s' "$4" && head -c 8188 /dev/zero; } > "$WORK/tree/hiberfil.sys"
  [ ! -d "$WORK/extra" ] || cp -r "$WORK/extra/." "$WORK/tree/"
  umount "$WORK/tree"
  wait "$server"
  dd if="$WORK/ntfs" of="$WORK/$1.img" bs=1M seek=17 conv=notrunc status=none
  muletto store import "$store" --machine "$1" --disk "vda=$WORK/$1.img" --format raw > /dev/null
}

disk server mbr "$WORK/SYSTEM"
disk desktop gpt "$WORK/SYSTEM"
disk asleep mbr "$WORK/SYSTEM" hibr
head -c 5000 "$WORK/SYSTEM" > "$WORK/torn" && disk torn mbr "$WORK/torn"
# The root key lists itself as its child, over and over.
python3 - "$WORK/SYSTEM" "$WORK/cyclic" << 'EOF'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
(root,) = struct.unpack_from("<I", data, 36)
(children,) = struct.unpack_from("<I", data, 4096 + root + 4 + 28)
(count,) = struct.unpack_from("<H", data, 4096 + children + 6)
for i in range(count):
    struct.pack_into("<I", data, 4096 + children + 8 + i * 8, root)
open(sys.argv[2], "wb").write(data)
EOF
disk cyclic gpt "$WORK/cyclic"
truncate -s 40M "$WORK/huge" && dd if="$WORK/SYSTEM" of="$WORK/huge" conv=notrunc status=none && disk huge mbr "$WORK/huge"
cp "$WORK/SYSTEM" "$WORK/unfinished" && printf '\x07' | dd of="$WORK/unfinished" bs=1 seek=4 conv=notrunc status=none
disk unfinished mbr "$WORK/unfinished"
# A Windows that was running: the hive is marked as unfinished, and a change of Tcpip is only in its log. The log is
# written here by the published description of its format.
cp "$WORK/SYSTEM" "$WORK/live" && cp "$WORK/SYSTEM" "$WORK/live.next"
printf 'Windows Registry Editor Version 5.00\n\n[%s\\ControlSet001\\Services\\Tcpip]\n"Start"=dword:00000001\n' "$prefix" > "$WORK/next.reg"
hivexregedit --merge --prefix "$prefix" "$WORK/live.next" "$WORK/next.reg"
mkdir -p "$WORK/extra/Windows/System32/config"
python3 "$(dirname "$0")/make_hive_log.py" "$WORK/live" "$WORK/live.next" "$WORK/extra/Windows/System32/config/SYSTEM.LOG1"
# Room for what the log adds, as Windows gives its hives some.
truncate -s "$(stat -c %s "$WORK/live.next")" "$WORK/live"
disk running mbr "$WORK/live"
rm -r "$WORK/extra"
# VirtIO drivers in use, and boot configurations.
{
  echo 'Windows Registry Editor Version 5.00'
  for set in ControlSet001 ControlSet002; do
    for driver in viostor netkvm; do key "$set\\Services\\$driver" '"Start"=dword:00000000'; done
    key "$set\\Enum" && key "$set\\Enum\\PCI"
    for each in 'VEN_1AF4&DEV_1001=viostor' 'VEN_1AF4&DEV_1000=netkvm'; do
      key "$set\\Enum\\PCI\\${each%%=*}" && key "$set\\Enum\\PCI\\${each%%=*}\\1" "\"Service\"=\"${each#*=}\""
    done
  done
} > "$WORK/virtio.reg"
cp "$WORK/SYSTEM" "$WORK/virtio" && hivexregedit --merge --prefix "$prefix" "$WORK/virtio" "$WORK/virtio.reg"
mkdir -p "$WORK/extra/Windows/System32/drivers" "$WORK/extra/Boot"
printf 'MZ' | tee "$WORK/extra/Windows/System32/drivers/viostor.sys" > "$WORK/extra/Windows/System32/drivers/netkvm.sys"
# The boot manager's device, as bcdedit writes "boot".
device=hex:$(printf '00,%.0s' {1..16})05,00,00,00,00,00,00,00,48,00,00,00,00,00,00,00$(printf ',00%.0s' {1..56})
manager='{9dea862c-5cdd-4e70-acc1-f32b344d4795}' entry='{a1b2c3d4-0000-11ee-8000-001122334455}'
{
  echo 'Windows Registry Editor Version 5.00'
  key Objects
  for object in "$manager" "$entry"; do key "Objects\\$object" && key "Objects\\$object\\Elements"; done
  key "Objects\\$manager\\Elements\\23000003" "\"Element\"=\"$entry\""
  key "Objects\\$entry\\Elements\\11000001" "\"Element\"=$device"
  key "Objects\\$entry\\Elements\\12000002" '"Element"="\\\\Windows\\\\system32\\\\winload.exe"'
  key "Objects\\$entry\\Elements\\21000001" "\"Element\"=$device"
} > "$WORK/bcd.reg"
python3 "$(dirname "$0")/make_hive.py" "$WORK/extra/Boot/BCD"
hivexregedit --merge --prefix "$prefix" "$WORK/extra/Boot/BCD" "$WORK/bcd.reg"
disk astray mbr "$WORK/virtio"
touch "$WORK/extra/Windows/System32/winload.exe"
disk leads mbr "$WORK/virtio"
rm -r "$WORK/extra"
# As Windows leaves a file system that it wants to check: the dirty flag in $Volume and its copy.
cp "$WORK/server.img" "$WORK/dirty.img"
python3 - "$WORK/dirty.img" "$start_bytes" << 'EOF'
import struct, sys
with open(sys.argv[1], "r+b") as file:
    start = int(sys.argv[2])
    file.seek(start)
    boot = file.read(512)
    cluster = boot[13] * struct.unpack_from("<H", boot, 11)[0]
    for place in (0x30, 0x38):
        record = start + struct.unpack_from("<Q", boot, place)[0] * cluster + 3 * 1024
        file.seek(record)
        data = file.read(1024)
        (attribute,) = struct.unpack_from("<H", data, 20)
        while struct.unpack_from("<I", data, attribute)[0] != 0x70:
            attribute += struct.unpack_from("<I", data, attribute + 4)[0]
        file.seek(record + attribute + struct.unpack_from("<H", data, attribute + 20)[0] + 10)
        file.write(b"\x01\0")
EOF
muletto store import "$store" --machine dirty --disk "vda=$WORK/dirty.img" --format raw > /dev/null
# A file system that is none after its first sector.
cp "$WORK/server.img" "$WORK/noise.img"
head -c 40M /dev/urandom | dd of="$WORK/noise.img" bs=512 seek=34817 conv=notrunc status=none
muletto store import "$store" --machine noise --disk "vda=$WORK/noise.img" --format raw > /dev/null

start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI"

notes() { muletto boot show "$1" -o json | json '.boot.notes | join("\n")'; }

# hive_of MACHINE   SYSTEM in the overlay of its VM, which finds nothing to start and so writes nothing
hive_of() {
  local overlay
  overlay=$(find "$WORK/state/vms/$(cat "$WORK/$1.id")" -name '*.qcow2')
  qemu-img convert -U -f qcow2 -O raw "$overlay" "$WORK/$1.after"
  dd if="$WORK/$1.after" of="$WORK/$1.ntfs" bs=1M skip=17 status=none
  ntfscat -f "$WORK/$1.ntfs" Windows/System32/config/SYSTEM > "$WORK/$1.hive"
}

start() { muletto boot start "$1@latest" --memory 64M "${@:2}" -o json | json .boot.id > "$WORK/$1.id"; }

for machine in server desktop; do
  echo "$machine"
  start $machine
  hive_of $machine
  hivexregedit --export --prefix "$prefix" "$WORK/$machine.hive" '\' > "$WORK/$machine.reg"
  hivexregedit --export --prefix "$prefix" "$WORK/SYSTEM" '\' > "$WORK/before.reg"
  diff "$WORK/before.reg" "$WORK/$machine.reg" > "$WORK/changes" || true
  [ "$(grep -c '^> "Start"=dword:00000000' "$WORK/changes")" = 10 ] || fail "drivers: $(cat "$WORK/changes")"
  [ "$(grep -c '^> "Start"=dword:00000003' "$WORK/changes")" = 2 ] || fail "cards: $(cat "$WORK/changes")"
  [ "$(grep -c '^> "0"=dword:00000000' "$WORK/changes")" = 4 ] || fail "a StartOverride overrules: $(cat "$WORK/changes")"
  [ "$(grep -c '^>' "$WORK/changes")" = 16 ] || fail "more was changed: $(cat "$WORK/changes")"
  notes $machine | has -F 'ControlSet002\Services\storahci starts with the boot loader (Start was 3, is 0)' || fail "the notes: $(notes $machine)"
  notes $machine | has 'fast startup' || fail "no word of fast startup: $(notes $machine)"
  [ "$(json '.[0].changes | length' < "$WORK/state/vms/$(cat "$WORK/$machine.id")/windows.json")" = 16 ] || fail "what can be taken back: $(cat "$WORK/state/vms/$(cat "$WORK/$machine.id")/windows.json")"
  muletto boot stop $machine --discard --yes > /dev/null
  "$BIN/muletto-restore" disk --store "$store" $machine@latest --disk vda --to "$WORK/$machine.point" > /dev/null
  cmp "$WORK/$machine.img" "$WORK/$machine.point" || fail "the point was changed"
  rm "$WORK/$machine.point" "$WORK/$machine.after" "$WORK/$machine.ntfs"
done

echo "the changes can be taken back"
dd if="$WORK/server.img" of="$WORK/back" bs=1M skip=17 status=none
"$BIN/muletto-windows" prepare "$WORK/back" | json .changes > "$WORK/taken"
"$BIN/muletto-windows" restore "$WORK/back" "$(cat "$WORK/taken")" | has '"restored":16' || fail "not all was taken back"
ntfscat "$WORK/back" Windows/System32/config/SYSTEM > "$WORK/back.hive"
hivexregedit --export --prefix "$prefix" "$WORK/back.hive" '\' | diff "$WORK/before.reg" - || fail "it is not as it was"

# refused MACHINE REGEX   it starts all the same, and a note says why it was not prepared
refused() {
  echo "$1: $2"
  start "$1"
  notes "$1" | has -E "was not prepared.*$2" || fail "the notes: $(notes "$1")"
  hive_of "$1" 2> /dev/null || true
  cmp "$WORK/$1.img" "$WORK/$1.after" || fail "its disk was changed"
  muletto boot stop "$1" --discard --yes > /dev/null
  rm -f "$WORK/$1.after" "$WORK/$1.ntfs" "$WORK/$1.hive"
}
refused asleep "hibernated"
refused torn "damaged"
refused cyclic "damaged|ended|processor"
refused huge "larger than"
refused unfinished "only in its log"

prepared() {
  echo "$1 is prepared"
  start "$1"
  hive_of "$1"
  hivexregedit --export --prefix "$prefix" "$WORK/$1.hive" '\' > "$WORK/$1.reg"
  [ "$(grep -c '"Start"=dword:00000000' "$WORK/$1.reg")" = 12 ] || fail "drivers: $(cat "$WORK/$1.reg")"
  muletto boot stop "$1" --discard --yes > /dev/null
  rm -f "$WORK/$1.after" "$WORK/$1.ntfs"
}
# A file system that Windows will check: nothing of it is changed except the hive's own bytes.
prepared dirty
# A Windows that was running: the logs are applied first, and a change that was only there is kept.
prepared running
grep -q '"Start"=dword:00000001' "$WORK/running.reg" || fail "the change in the log is lost: $(cat "$WORK/running.reg")"
[ "$(od -An -tx4 -j4 -N4 "$WORK/running.hive")" = "$(od -An -tx4 -j8 -N4 "$WORK/running.hive")" ] || fail "the hive is not clean"

echo "a check says what would be changed; nothing is, if it is not wanted"
muletto boot check server@latest --memory 64M > "$WORK/check"
has 'ControlSet001.Services.storahci starts with the boot loader (Start was 3, is 0)' "$WORK/check" || fail "the check: $(cat "$WORK/check")"
has 'no boot configuration' "$WORK/check" || fail "of the boot configuration: $(cat "$WORK/check")"
start server --prepare none
hive_of server
cmp "$WORK/SYSTEM" "$WORK/server.hive" || fail "it was prepared"
notes server | has 'as it is, as requested' || fail "the notes: $(notes server)"
expect_failure 3 "nothing was changed" muletto boot unprepare server
muletto boot stop server --discard --yes > /dev/null

echo "the command takes it back, and the VM starts again"
start server
expect_failure 4 "shut its Windows down" muletto boot unprepare server
muletto boot power server power-off > /dev/null
muletto boot unprepare server > "$WORK/unprepared"
has '16 of 16 changes to Windows on disk vda were taken back' "$WORK/unprepared" || fail "it says: $(cat "$WORK/unprepared")"
expect_failure 3 "taken back already" muletto boot unprepare server
muletto boot power server power-on > /dev/null
hive_of server
cmp "$WORK/SYSTEM" "$WORK/server.hive" || fail "it is not as it was"
muletto boot stop server --discard --yes > /dev/null

echo "VirtIO that it has had, and a boot configuration"
for machine in leads astray; do
  muletto boot check "$machine@latest" --memory 64M -o json > "$WORK/check"
  [ "$(json '.check.disks[0].bus' < "$WORK/check")" = virtio ] || fail "not on VirtIO: $(cat "$WORK/check")"
  [ "$(json '.check.network_cards[0].model' < "$WORK/check")" = virtio ] || fail "no VirtIO card: $(cat "$WORK/check")"
  words=$(json '.check.notes | join("\n")' < "$WORK/check")
  case $machine in
  leads) [ "$(has 'will probably not start' <<< "$words" && echo yes)" != yes ] || fail "it says: $words" ;;
  astray) has 'winload.exe, which is not there' <<< "$words" || fail "it says: $words" ;;
  esac
done
start astray
notes astray | has 'winload.exe, which is not there' || fail "the VM's notes: $(notes astray)"
muletto boot stop astray --discard --yes > /dev/null

echo "noise"
start noise
notes noise | has 'cannot be read' || fail "the notes: $(notes noise)"
muletto boot stop noise --discard --yes > /dev/null
[ -z "$(find /var/tmp -maxdepth 1 -name 'muletto-windows*' -newer "$WORK/system.reg")" ] || fail "folders are left in /var/tmp"
pass
