#!/usr/bin/env bash
# timeout: 900
# Files of points: file systems that their own programs made, on MBR, GPT, LVM, LUKS and bare disks, are listed,
# searched, compared and downloaded through the API and from the bare store; tars are compared byte for byte with owner,
# permissions, times, links, attributes and holes, a journal is replayed, and it is known afterwards who read what.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl losetup sfdisk mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.exfat mkntfs ntfs-3g mcopy \
  mount.exfat-fuse e2fsck setfattr setfacl unzip tar pvcreate lvcreate python3 virsh
require_programs mulettod muletto muletto-restore muletto-files muletto-sandbox
ensure_libvirt
record_api
has() { [ "$(grep -c "$@")" -gt 0 ]; }

mnt=$WORK/mnt
mkdir "$mnt"
on_exit umount -q "$mnt"
# mounted FILE OPTIONS COMMAND...   runs the command while the image is mounted on $mnt.
mounted() {
  local file=$1 options=$2
  shift 2
  mount -o "loop,$options" "$file" "$mnt" || skip "this kernel has no such file system: $file"
  "$@"
  umount "$mnt"
}
# Ends a mount whose program writes on after umount has returned.
end_fuse() {
  umount "$mnt"
  wait_until 30 "$1 has written all" bash -c "! pgrep -f '[n]tfs-3g .*$WORK|[m]ount.exfat-fuse .*$WORK' > /dev/null"
}
# What is put into each file system that can hold it.
fill() {
  local rich=$1 i
  mkdir -p "$mnt/etc/deep/er" "$mnt/many"
  printf 'the file\n' > "$mnt/etc/file"
  head -c 3000000 /dev/urandom > "$mnt/etc/large.bin"
  : > "$mnt/empty"
  for ((i = 0; i < 1500; i++)); do : > "$mnt/many/a-name-that-is-rather-long-$i.txt"; done
  printf 'ü' > "$mnt/Ärger und Übel.TXT"
  truncate -s 20M "$mnt/holes"
  printf end | dd of="$mnt/holes" bs=1 seek=10000000 conv=notrunc status=none
  [ "$rich" = rich ] || return 0
  ln -s /etc/passwd "$mnt/absolute"
  ln -s "$(printf 'x%.0s' {1..300})" "$mnt/long-link"
  ln "$mnt/etc/file" "$mnt/second-name"
  mknod "$mnt/null" c 1 3
  mkfifo "$mnt/pipe"
  printf x > "$mnt/"$'bad\xff\nname % of'
  chown 1234:70000 "$mnt/etc/file"
  chmod 4751 "$mnt/etc/file"
  setfattr -n user.note -v "a value" "$mnt/etc/file"
  setfattr -n user.large -v "$(head -c 1500 /dev/zero | tr '\0' y)" "$mnt/empty"
  setfacl -m u:1234:rwx "$mnt/empty"
  touch -d '1999-12-31 23:59:59.987654321' "$mnt/empty"
  touch -hd '2040-01-02 03:04:05.000000001' "$mnt/absolute"
}

# ---- a disk with a GUID table: FAT, ext4, XFS, swap
truncate -s 48M "$WORK/fat.img"
mkfs.vfat -F 32 -n WINDATA "$WORK/fat.img" > /dev/null 2>&1
mkdir "$WORK/dos"
head -c 100000 /dev/urandom > "$WORK/dos/A long name of a file.bin"
touch -d '2020-02-02 02:02:02' "$WORK/dos/A long name of a file.bin"
mcopy -m -i "$WORK/fat.img" "$WORK/dos/A long name of a file.bin" ::
truncate -s 200M "$WORK/ext4.img"
mkfs.ext4 -q -F -b 4096 -L root "$WORK/ext4.img"
mounted "$WORK/ext4.img" defaults fill rich
truncate -s 320M "$WORK/xfs.img"
mkfs.xfs -q -f "$WORK/xfs.img"
mounted "$WORK/xfs.img" defaults fill rich
mkswap "$(truncate -s 4M "$WORK/swap.img" && echo "$WORK/swap.img")" > /dev/null 2>&1
# disk_of FILE LABEL SFDISK-FIELDS@IMAGE...   a disk with these partitions, each as large as its image.
disk_of() {
  local disk=$1 label=$2 script part image place=1 lines=
  shift 2
  for part in "$@"; do
    image=${part#*@}
    lines+="start=$((place * 2048)), size=$(($(stat -c %s "$image") / 512))${part%%@*}"$'\n'
    place=$((place + ($(stat -c %s "$image") >> 20) + 1))
  done
  truncate -s $((place + 2))M "$disk"
  script="label: $label"$'\n'"$lines"
  sfdisk -q "$disk" <<< "$script"
  place=1
  for part in "$@"; do
    image=${part#*@}
    dd if="$image" of="$disk" bs=1M seek=$place conv=notrunc,sparse status=none
    place=$((place + ($(stat -c %s "$image") >> 20) + 1))
  done
}
disk_of "$WORK/vda.raw" gpt "@$WORK/fat.img" "@$WORK/ext4.img" "@$WORK/xfs.img" "@$WORK/swap.img"

# ---- a disk with an MBR: NTFS and Btrfs with subvolumes and compression
truncate -s 64M "$WORK/ntfs.img"
mkntfs -q -F -f -L Data "$WORK/ntfs.img" > /dev/null 2>&1
ntfs-3g -o streams_interface=xattr "$WORK/ntfs.img" "$mnt"
fill plain
ln "$mnt/etc/file" "$mnt/second-name"
setfattr -n user.stream -v "a stream" "$mnt/etc/file"
end_fuse "the file system"
truncate -s 320M "$WORK/btrfs.img"
mkfs.btrfs -q "$WORK/btrfs.img" > /dev/null 2>&1
fill_btrfs() {
  fill rich
  btrfs subvolume create "$mnt/@home" > /dev/null
  seq 1 60000 > "$mnt/@home/packed"
  sync "$mnt/@home/packed"
  mount -o remount,compress-force=lzo "$mnt"
  seq 1 60000 > "$mnt/lzo" && sync "$mnt/lzo"
  mount -o remount,compress-force=zlib "$mnt"
  seq 1 60000 > "$mnt/zlib" && sync "$mnt/zlib"
  btrfs subvolume snapshot -r "$mnt" "$mnt/snapshot" > /dev/null
}
mounted "$WORK/btrfs.img" compress-force=zstd fill_btrfs
disk_of "$WORK/vdb.raw" dos ",type=7@$WORK/ntfs.img" ",type=83@$WORK/btrfs.img"

# ---- bare exFAT; LVM with ext3; LUKS with ext4
truncate -s 64M "$WORK/vdc.raw"
mkfs.exfat "$WORK/vdc.raw" > /dev/null
loop=$(losetup -f --show "$WORK/vdc.raw")
mount.exfat-fuse "$loop" "$mnt" > /dev/null 2>&1
fill plain
end_fuse "the file system"
losetup -d "$loop"
export LVM_SYSTEM_DIR=$WORK/lvm LVM_SUPPRESS_FD_WARNINGS=1
mkdir "$LVM_SYSTEM_DIR" "$WORK/small"
printf 'in a volume\n' > "$WORK/small/where"
truncate -s 64M "$WORK/vdd.raw"
loop=$(losetup -f --show "$WORK/vdd.raw") && on_exit losetup -d "$loop"
lvm_quietly() { "$@" --driverloaded n > "$WORK/lvm.log" 2>&1; }
lvm_quietly pvcreate -ff -y "$loop"
lvm_quietly vgcreate -s 1M vg94 "$loop"
lvm_quietly lvcreate -y -an -Zn -Wn -n data -L 24M vg94
sync
truncate -s 24M "$WORK/lv.img" "$WORK/plain.img"
mke2fs -q -F -t ext3 -d "$WORK/small" "$WORK/lv.img"
dd if="$WORK/lv.img" of="$WORK/vdd.raw" bs=1M seek=1 conv=notrunc status=none
mke2fs -q -F -t ext4 -d "$WORK/small" "$WORK/plain.img"
printf 'open sesame' > "$WORK/secret"
qemu-img convert -f raw -O luks --object "secret,id=s,file=$WORK/secret" -o key-secret=s,iter-time=50 \
  "$WORK/plain.img" "$WORK/vde.raw"

# ---- into the appliance
start_appliance
store=$(appliance_state mulettod)/stores/default
disks=()
for disk in vda vdb vdc vdd vde; do disks+=(--disk "$disk=$WORK/$disk.raw"); done
# Not through the recorder, which knows only HTTP.
import_web() {
  MULETTO_SOCKET=$(appliance_run mulettod)/api.sock \
    muletto machine import --machine web "${disks[@]}" --cpus 1 --memory 256M > /dev/null
}
import_web

# ---- what is there, and what is not read
begin=${EPOCHREALTIME/./}
muletto files list web@latest > "$WORK/volumes" || true
echo "first listing: $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
for line in 'vda1 +vfat .*WINDATA' 'vda2 +ext4 .*root' 'vda3 +xfs' 'vdb1 +ntfs .*Data' 'vdb2 +btrfs' 'vdc +exfat' \
  'vg94/data +ext3 .*LVM on vdd' 'vde cannot be read: .*encrypted'; do
  has -E "^$line" "$WORK/volumes" || fail "'$line' is not in: $(< "$WORK/volumes")"
done
! has -E 'not replayed|vda4' "$WORK/volumes" || fail "what is clean and whole has a note: $(< "$WORK/volumes")"
muletto files list web@latest -o json > "$WORK/volumes.json" || true
json '.look.seen[]' < "$WORK/volumes.json" | has 'vda4: swap' || fail "the swap was not looked at"
begin=${EPOCHREALTIME/./}
muletto files list web@latest vda2:/etc > "$WORK/etc"
echo "a folder: $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
has -E '^-rwsr-x--x +1234:70000 +9 B .* file$' "$WORK/etc" || fail "the listing is $(< "$WORK/etc")"
muletto files list web@latest vda2:/ | has 'bad%FF%0Aname %25 of' || fail "a name of any bytes is not listed as text"
[ "$(muletto files list web@latest vdb1:/many | wc -l)" -eq 1500 ] || fail "a folder is not listed to its end"
[ "$(muletto files get web@latest 'vda2:/bad%FF%0Aname %25 of' --to - 2> /dev/null)" = x ] \
  || fail "what was listed cannot be asked for"
expect_failure 2 'Say which' muletto files list web@latest /etc
expect_failure 3 "no 'nothing' in the folder" muletto files list web@latest vda2:/etc/nothing
expect_failure 3 'is a link to' muletto files list web@latest vda2:/absolute/x
expect_failure 2 'download it as an archive' muletto files get web@latest vda2:/etc --to "$WORK/none"

# ---- tars: everything that each file system keeps
compare() { python3 "$SOURCE/tests/system/compare_tar.py" "$@" > "$WORK/compared" || fail "$1: $(< "$WORK/compared")"; }
download() { muletto files get web@latest "$1" --to "$2" --force > /dev/null 2>&1 || fail "$1 was not downloaded"; }
for each in vda2=ext4 vda3=xfs vdb2=btrfs; do
  image=$WORK/${each#*=}.img volume=${each%=*}
  download "$volume:/" "$WORK/$volume.tar"
  options=ro
  [ "$volume" != vda3 ] || options=ro,norecovery
  mounted "$image" "$options" compare "$WORK/$volume.tar" "$mnt" "$volume"
done
download vdb1:/ "$WORK/vdb1.tar"
ntfs-3g -o ro,streams_interface=xattr "$WORK/ntfs.img" "$mnt"
compare "$WORK/vdb1.tar" "$mnt" vdb1 no-owner no-mode no-xattr
end_fuse "the file system"
download vdc:/ "$WORK/vdc.tar"
loop2=$(losetup -f --show -r "$WORK/vdc.raw")
mount.exfat-fuse -o ro "$loop2" "$mnt" > /dev/null 2>&1
compare "$WORK/vdc.tar" "$mnt" vdc no-owner no-mode no-xattr no-holes
end_fuse "the file system"
losetup -d "$loop2"
download "vda1:/" "$WORK/vda1.tar"
compare "$WORK/vda1.tar" "$WORK/dos" vda1 no-owner no-mode no-xattr seconds=2
# GNU tar unpacks it: holes, owner, attributes.
mkdir "$WORK/unpacked"
tar --xattrs --xattrs-include='*' --numeric-owner -xpf "$WORK/vda2.tar" -C "$WORK/unpacked" 2> "$WORK/tar.err"
[ "$(stat -c '%a %u %g %Y' "$WORK/unpacked/vda2/etc/file" | cut -d' ' -f1-3)" = "4751 1234 70000" ] \
  || fail "tar unpacks another owner: $(stat "$WORK/unpacked/vda2/etc/file")"
[ "$(stat -c %b "$WORK/unpacked/vda2/holes")" -lt 1000 ] || fail "the holes are filled"
[ "$(getfattr -n user.note --only-values "$WORK/unpacked/vda2/etc/file" 2> /dev/null)" = "a value" ] \
  || fail "tar unpacks no attribute"
[ "$WORK/unpacked/vda2/etc/file" -ef "$WORK/unpacked/vda2/second-name" ] || fail "tar unpacks no hard link"

# ---- a ZIP, a part of a file, a search
muletto files get web@latest vdb1:/etc --to "$WORK/etc.zip" > /dev/null 2>&1
(cd "$WORK/unpacked" && unzip -q "$WORK/etc.zip")
ntfs-3g -o ro "$WORK/ntfs.img" "$mnt"
diff -r "$mnt/etc" "$WORK/unpacked/etc" || fail "the ZIP holds something else"
end_fuse "the file system"
python3 -c 'import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)' "$WORK/etc.zip" \
  || fail "the ZIP is damaged"
api() { curl -sS --unix-socket "$(appliance_run mulettod)/api.sock" "$@"; }
url=http://muletto/api/v1/points/web@latest/files
[ "$(api -r 4-7 "$url/content?path=vda2:/etc/file")" = file ] || fail "another part of the file is sent"
[ "$(api -o /dev/null -w '%{http_code}' -r 9- "$url/content?path=vda2:/etc/file")" = 416 ] || fail "no 416"
api -D - -o /dev/null "$url/content?path=vda2:/etc/file" | has -i '^x-content-type-options: nosniff' \
  || fail "a browser may take a client's file for a page"
muletto files find web@latest vdb2:/ --name 'packed' | has '/@home/packed' || fail "a file in a subvolume is not found"
[ "$(muletto files find web@latest vda2:/ --name '*LONG-1?.TXT' --ignore-case | wc -l)" -eq 10 ] \
  || fail "the search finds other files"

# ---- LUKS, with the key for this command only
muletto files get web@latest vde:luks:/where --to - --volume-passphrase-file "$WORK/secret" > "$WORK/where" 2> /dev/null
cmp "$WORK/where" "$WORK/small/where" || fail "LUKS is not opened with its key"
[ "$(muletto files get web@latest vg94/data:/where --to - 2> /dev/null)" = "in a volume" ] || fail "LVM is not read"
! grep -rqs 'open sesame' "$(appliance_state mulettod)" || fail "the appliance has stored the key"

# ---- the same from the bare store, without the daemon's help
muletto-restore files list --store "$store" web@latest > "$WORK/bare" || true
diff "$WORK/volumes" "$WORK/bare" || fail "the store's listing differs"
muletto-restore files get --store "$store" web@latest vda2:/ --to "$WORK/bare.tar" > /dev/null 2>&1
cmp "$WORK/bare.tar" "$WORK/vda2.tar" || fail "the store's tar differs"

# ---- two points compared; a journal that was not written back is replayed
change() {
  rm "$mnt/empty"
  echo more >> "$mnt/etc/file"
  chmod 600 "$mnt/etc/large.bin"
  mkdir "$mnt/new"
  echo new > "$mnt/new/file"
  sync -f "$mnt/new/file"
  cp --sparse=always "$WORK/ext4.img" "$WORK/dirty.img"
}
mounted "$WORK/ext4.img" defaults change
dumpe2fs -h "$WORK/dirty.img" 2> /dev/null | has needs_recovery || fail "the copy has no journal to be replayed"
dd if="$WORK/dirty.img" of="$WORK/vda.raw" bs=1M seek=50 conv=notrunc status=none
import_web
points=$(muletto point list --machine web -o json | json '.points | sort_by(.time) | .[].id')
old=$(sed -n 1p <<< "$points") new=$(sed -n 2p <<< "$points")
muletto files diff "$old" "$new" vda2:/ > "$WORK/diff" || fail "the comparison: $(< "$WORK/diff")"
for line in 'deleted +empty' 'changed +etc/file \(size' 'changed +second-name \(size' 'changed +etc/large.bin \(mode\)' 'added +new/' 'added +new/file'; do
  has -E "^$line" "$WORK/diff" || fail "'$line' is not in: $(< "$WORK/diff")"
done
[ "$(wc -l < "$WORK/diff")" -eq 6 ] || fail "there are other changes: $(< "$WORK/diff")"
cp "$WORK/dirty.img" "$WORK/replayed.img"
e2fsck -fy "$WORK/replayed.img" > /dev/null 2>&1 || [ $? -le 1 ]
muletto files get "$new" vda2:/ --to "$WORK/replayed.tar" > /dev/null 2>&1
mounted "$WORK/replayed.img" ro compare "$WORK/replayed.tar" "$mnt" vda2

# ---- who read what is known, and another tenant reads nothing
muletto job list --kind download -o json > "$WORK/jobs.json"
json '[.jobs[] | select(.state == "succeeded")] | length > 8' < "$WORK/jobs.json" | has true || fail "downloads are no jobs"
look=$(muletto job list --kind files -o json | json '.jobs[-1].id')
muletto job show "$look" > "$WORK/look"
api "http://muletto/api/v1/jobs/$look/log" > "$WORK/look.log.json"
for words in 'root lists vda2:/etc' 'root downloads vda2:/ as tar' "root searches vdb2:/ for 'packed'"; do
  json '.lines[].text' < "$WORK/look.log.json" | has -F "$words" || fail "'$words' is not in the log"
done
muletto tenant create bakery > /dev/null
muletto token create --for operator --tenant bakery --expires never -o json | json .token.token > "$WORK/token"
status=$(curl -sk -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(< "$WORK/token")" \
  "https://$(appliance_address)/api/v1/points/$new/files")
[ "$status" = 404 ] || fail "another tenant gets $status"

# ---- a point whose files were looked at can be deleted
muletto point delete "$old" > /dev/null || fail "a look keeps its point from being deleted"
