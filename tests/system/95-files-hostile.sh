#!/usr/bin/env bash
# timeout: 900
# Files of hostile points: the reader has no rights, no files and no network; damaged and cyclic file systems, names
# that lead elsewhere, a folder with very many names, a reader that is killed or hangs, and two tenants at the same time
# harm nobody, and what is missing is said.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq curl mke2fs debugfs mkfs.xfs mkfs.btrfs mkfs.vfat mkntfs tar python3 virsh
require_programs mulettod muletto muletto-restore muletto-files muletto-sandbox
ensure_libvirt
has() { [ "$(grep -c "$@")" -gt 0 ]; }

mkdir "$WORK/in" "$WORK/in/d" "$WORK/in/d/e"
head -c 200000 /dev/urandom > "$WORK/in/file"
head -c 40000 /dev/urandom > "$WORK/in/d/other"
ln -s /etc "$WORK/in/link"

# ---- ext4 with names that no program would make: written into the folder's block
truncate -s 32M "$WORK/names.img"
mke2fs -q -F -t ext4 -O ^metadata_csum -d "$WORK/in" "$WORK/names.img"
mkdir "$WORK/odd"
for name in AAAAAAAAAA BBBBBBBBBB CCCCCCCCCC DDDDDDDDDD; do : > "$WORK/odd/$name"; done
mkdir "$WORK/odd/link01" "$WORK/odd/link01/below"
ln -s / "$WORK/odd/link02"
truncate -s 32M "$WORK/odd.img"
mke2fs -q -F -t ext4 -O ^metadata_csum -d "$WORK/odd" "$WORK/odd.img"
python3 - "$WORK/odd.img" <<'PYTHON'
import sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
# "../" in a name; a NUL; the name of the folder itself; a newline, which is allowed; two entries of one name, of which
# one is a link and one a folder.
for old, new in [(b"AAAAAAAAAA", b"../../evil"), (b"BBBBBBBBBB", b"nul\0inside"), (b"CCCCCCCCCC", b"/etc/passw"),
                 (b"DDDDDDDDDD", b"new\nlin\x1b[m")]:
    assert data.count(old) == 1
    data = data.replace(old, new)
data = data.replace(b"link02", b"link01")
open(path, "wb").write(data)
PYTHON

# ---- a folder that contains itself, and one that is in two places; a file whose blocks are beyond the disk
truncate -s 32M "$WORK/cycle.img"
mke2fs -q -F -t ext4 -O ^metadata_csum -d "$WORK/in" "$WORK/cycle.img"
debugfs -w -R "link d d/again" "$WORK/cycle.img" > /dev/null 2>&1
debugfs -w -R "link d twice" "$WORK/cycle.img" > /dev/null 2>&1
debugfs -w -R "set_inode_field file block[5] 4000000000" "$WORK/cycle.img" > /dev/null 2>&1

start_appliance
muletto machine import --machine odd --disk "vda=$WORK/odd.img" --disk "vdb=$WORK/cycle.img" \
  --disk "vdc=$WORK/names.img" --cpus 1 --memory 256M > /dev/null

status=0
muletto files list odd@latest vda:/ > "$WORK/list" 2> "$WORK/list.err" || status=$?
[ "$status" = 1 ] || fail "impossible names end with $status"
has 'impossible' "$WORK/list.err" || fail "impossible names are not said: $(< "$WORK/list.err")"
has -F 'new%0Alin%1B[m' "$WORK/list" || fail "a newline is not shown as text: $(< "$WORK/list")"
! has -E 'evil|passw|inside' "$WORK/list" || fail "an impossible name is listed"
for format in tar zip; do
  expect_failure 8 'MULETTO-ERRORS.txt' muletto files get odd@latest vda:/ --to "$WORK/odd.$format" -o json
done
mkdir "$WORK/out" "$WORK/out-zip"
tar -xpf "$WORK/odd.tar" -C "$WORK/out" 2> "$WORK/tar.err" || has link01 "$WORK/tar.err" || fail "$(< "$WORK/tar.err")"
python3 - "$WORK/odd.zip" "$WORK/odd.tar" <<'PYTHON'
import sys, tarfile, zipfile
names = zipfile.ZipFile(sys.argv[1]).namelist() + [each.name for each in tarfile.open(sys.argv[2])]
assert all(name.startswith("vda") and ".." not in name.split("/") for name in names), names
archive = tarfile.open(sys.argv[2])
text = archive.extractfile("vda/MULETTO-ERRORS.txt").read().decode()
assert "impossible" in text, text
links = set()
for each in archive:
    parts = each.name.split("/")
    assert not any("/".join(parts[:i]) in links for i in range(1, len(parts) + 1)), each.name
    if each.issym():
        links.add(each.name)
assert links, "the link is not in it"
PYTHON
[ ! -e "$WORK/evil" ] && [ ! -e "$WORK/out/evil" ] || fail "a name led out of the archive"

expect_failure 8 'MULETTO-ERRORS.txt' muletto files get odd@latest vdb:/ --to "$WORK/cycle.tar" -o json
tar -xOf "$WORK/cycle.tar" vdb/MULETTO-ERRORS.txt > "$WORK/errors"
has 'this folder contains itself' "$WORK/errors" || fail "a cycle is not said: $(< "$WORK/errors")"
has 'also in another one' "$WORK/errors" || fail "a second place is not said: $(< "$WORK/errors")"
status=0
muletto files find odd@latest vdb:/ --name other > "$WORK/found" 2> /dev/null || status=$?
[ "$status" = 1 ] && [ "$(wc -l < "$WORK/found")" -eq 1 ] || fail "the search in a cycle: $status, $(< "$WORK/found")"

# ---- every file system, damaged at random: an answer, or an error, and the daemon is as it was
printf '/\n0 0\nd--755 0 0\nfile ---644 0 0 %s\n$\n' "$WORK/in/file" > "$WORK/proto"
for kind in ext4 xfs btrfs ntfs vfat; do
  image=$WORK/$kind.img
  case $kind in
    xfs) truncate -s 320M "$image" && mkfs.xfs -q -p "$WORK/proto" "$image" ;;
    btrfs) truncate -s 128M "$image" && mkfs.btrfs -q --rootdir "$WORK/in" "$image" > /dev/null 2>&1 ;;
    ext4) truncate -s 32M "$image" && mke2fs -q -F -t ext4 -d "$WORK/in" "$image" ;;
    ntfs) truncate -s 32M "$image" && mkntfs -q -F -f "$image" > /dev/null 2>&1 && ntfscp -q "$image" "$WORK/in/file" file ;;
    vfat) truncate -s 40M "$image" && mkfs.vfat -F 32 "$image" > /dev/null 2>&1 && mcopy -s -i "$image" "$WORK/in/file" "$WORK/in/d" :: ;;
  esac
done
python3 - "$WORK" <<'PYTHON'
import random, sys
# Only bytes that are something are changed: structures, mostly.
random.seed(95)
for kind in ["ext4", "xfs", "btrfs", "ntfs", "vfat"]:
    whole = open(f"{sys.argv[1]}/{kind}.img", "rb").read()
    used = [at for at in range(0, len(whole), 512) if any(whole[at:at + 512])]
    for number in range(8):
        data = bytearray(whole)
        for _ in range(4 ** (number % 4 + 1)):
            at = random.choice(used) + random.randrange(512)
            data[at] = random.randrange(256)
        open(f"{sys.argv[1]}/{kind}-{number}.raw", "wb").write(data)
PYTHON
damaged=0
for number in 0 1 2 3 4 5 6 7; do
  disks=()
  for kind in ext4 xfs btrfs ntfs vfat; do disks+=(--disk "$kind=$WORK/$kind-$number.raw"); done
  muletto machine import --machine "damaged$number" "${disks[@]}" --cpus 1 --memory 256M > /dev/null
  muletto files list "damaged$number@latest" > "$WORK/volumes" 2> "$WORK/volumes.err" || true
  for kind in ext4 xfs btrfs ntfs vfat; do
    has "^$kind" "$WORK/volumes" || fail "nothing is said of $kind: $(< "$WORK/volumes") $(< "$WORK/volumes.err")"
    status=0
    timeout 100 muletto files get "damaged$number@latest" "$kind:/" --to "$WORK/out.tar" --force > /dev/null 2> "$WORK/out.err" \
      || status=$?
    case $status in
      0) ;;
      2 | 3 | 6 | 8) damaged=$((damaged + 1)) ;;
      *) fail "$kind, damaged, ends with $status: $(< "$WORK/out.err")" ;;
    esac
  done
  rm -f "$WORK"/*-"$number".raw
done
[ "$damaged" -gt 3 ] || fail "hardly any damage was noticed: $damaged"
echo "damage was noticed in $damaged of 40"
muletto status > /dev/null

# ---- two tenants look at the same time: each reader is a user of its own, with nothing
muletto tenant create bakery > /dev/null
muletto machine import --tenant bakery --machine oven --disk "vda=$WORK/names.img" --cpus 1 --memory 256M > /dev/null
muletto files list odd@latest > /dev/null
muletto files list --tenant bakery oven@latest > /dev/null
readers() { pgrep -f "^[^ ]*muletto-files [0-9]+$" || true; }
daemon=$(pgrep -o -f "mulettod --state-directory $WORK")
own=()
for pid in $(readers); do
  parent=$pid
  while [ "$parent" -gt 1 ] && [ "$parent" != "$daemon" ]; do parent=$(awk '/^PPid/ { print $2 }' "/proc/$parent/status"); done
  [ "$parent" != "$daemon" ] || own+=("$pid")
done
[ "${#own[@]}" -ge 2 ] || fail "there are ${#own[@]} readers"
users=()
for pid in "${own[@]}"; do
  users+=("$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")")
  [ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ] || fail "a reader has capabilities"
  [ "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$pid/status")" = 1 ] || fail "a reader may gain privileges"
  [ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ] || fail "a reader has no filter"
  [ "$(awk 'NR > 2' "/proc/$pid/net/dev" | grep -vc ' lo:' || true)" = 0 ] || fail "a reader has a network"
  for kind in net mnt pid ipc uts; do
    [ "$(readlink "/proc/$pid/ns/$kind")" != "$(readlink "/proc/$daemon/ns/$kind")" ] || fail "a reader shares $kind"
  done
  for fd in /proc/"$pid"/fd/*; do
    case $(readlink "$fd") in
      /dev/null | socket:*) ;;
      *) fail "a reader has $(readlink "$fd") open" ;;
    esac
  done
done
[ "$(printf '%s\n' "${users[@]}" | sort -u | wc -l)" -eq "${#users[@]}" ] || fail "two readers are one user: ${users[*]}"
! printf '%s\n' "${users[@]}" | has -x 0 || fail "a reader is root"

# ---- a reader that hangs, and one that is killed, end one answer and not the next
for signal in STOP KILL; do
  for pid in $(readers); do
    [[ " ${own[*]} " != *" $pid "* ]] || kill "-$signal" "$pid"
  done
  status=0
  timeout 100 muletto files list odd@latest vdc:/ > /dev/null 2> "$WORK/ended.err" || status=$?
  [ "$status" = 6 ] || fail "a reader with SIG$signal ends with $status: $(< "$WORK/ended.err")"
  muletto files list odd@latest vdc:/ > "$WORK/again" || fail "no new reader was started"
  has file "$WORK/again" || fail "the new reader lists $(< "$WORK/again")"
  mapfile -t own < <(readers)
done

# ---- a folder of very many names: pages of bounded size, in bounded time and memory
python3 - "$WORK/many.img" <<'PYTHON'
import struct, sys
# FAT32 made by hand: one folder of 65 535 entries, all of whose names are "F0000000.TXT" counted up.
sector, per_cluster, fat_sectors, clusters = 512, 8, 1024, 128 * 1024
reserved, count = 32, 65000
boot = bytearray(512)
boot[0:3] = b"\xeb\x58\x90"
struct.pack_into("<HBHBHHBHHHII", boot, 11, sector, per_cluster, reserved, 1, 0, 0, 0xf8, 0, 32, 64, 0,
                 reserved + fat_sectors + clusters * per_cluster)
struct.pack_into("<IHHI", boot, 36, fat_sectors, 0, 0, 2)
boot[510:512] = b"\x55\xaa"
root = b"".join(b"F%07dTXT" % i + b"\x20" + bytes(14) + b"\0\0\0\0\0\0" for i in range(count))
root_clusters = (len(root) + 4095) // 4096 + 1
table = [0x0ffffff8, 0x0fffffff] + [i + 3 for i in range(root_clusters - 1)] + [0x0fffffff]
with open(sys.argv[1], "wb") as disk:
    disk.write(boot)
    disk.seek(reserved * sector)
    disk.write(struct.pack(f"<{len(table)}I", *table))
    disk.seek((reserved + fat_sectors) * sector)
    disk.write(root)
    disk.truncate((reserved + fat_sectors + clusters * per_cluster) * sector)
PYTHON
muletto machine import --machine many --disk "vda=$WORK/many.img" --cpus 1 --memory 256M > /dev/null
[ "$(timeout 60 muletto files list many@latest vda:/ | wc -l)" -eq 65000 ] || fail "a large folder is not listed to its end"

# ---- a file of 100 GiB of holes and a little data: a tar at once, a ZIP of bounded memory
mkdir "$WORK/huge"
truncate -s 100G "$WORK/huge/sparse"
printf end | dd of="$WORK/huge/sparse" bs=1 seek=107374182397 conv=notrunc status=none
truncate -s 64M "$WORK/huge.img"
mke2fs -q -F -t ext4 -d "$WORK/huge" "$WORK/huge.img"
muletto machine import --machine huge --disk "vda=$WORK/huge.img" --cpus 1 --memory 256M > /dev/null
muletto files get huge@latest vda:/sparse --to "$WORK/huge.tar" --format tar > /dev/null 2>&1
[ "$(stat -c %s "$WORK/huge.tar")" -lt 1000000 ] || fail "the holes are in the tar"
[ "$(tar -tvf "$WORK/huge.tar" | awk '{ print $3 }')" = 107374182400 ] || fail "the tar has another size"
start_background zip muletto files get huge@latest vda:/sparse --to "$WORK/huge.zip"
sleep 8
for pid in "$daemon" $(readers); do
  [ -r "/proc/$pid/status" ] || continue
  peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")
  [ "${peak:-0}" -lt 262144 ] || fail "a process took $peak KiB"
done
stop_background zip
wait_until 20 "the download is a job that was cancelled" bash -c \
  'muletto job list --kind download -o json | jq -e ".jobs[0].state == \"cancelled\""'
