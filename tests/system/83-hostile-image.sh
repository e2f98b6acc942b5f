#!/usr/bin/env bash
# An image that a guest or a stranger wrote leads to no other file of the host: not as a raw disk that looks like
# a VMDK descriptor, not by its backing file, data file, extents or parent; not for an agent, not for an import. The
# program that reads it could not open another file if it wanted to.
. "$(dirname "$0")/lib.sh"

require_root
require_programs muletto muletto-agent muletto-restore
require_commands qemu-img qemu-nbd losetup jq

store=$WORK/store folder=$WORK/images secret=$WORK/secret.raw
mkdir "$folder"
muletto store init "$store" > /dev/null
# What must never be in a point: a host's file that only root may read.
marker=marker-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
for _ in $(seq 40000); do echo "$marker"; done > "$secret"
truncate -s 4M "$secret"
chmod 600 "$secret"

descriptor() { # descriptor FILE [LINE]: a VMDK descriptor whose extent is the secret
  printf '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n%s\nRW 8192 FLAT "%s" 0\n' \
    "${2:-}" "${3:-$secret}" > "$1"
}
descriptor "$folder/disk.img"
truncate -s 4M "$folder/disk.img"
agent_sync() { # agent_sync MACHINE OPTION...
  muletto-agent sync "$@" --store "$store" --state-directory "$WORK/agent" --run-directory "$WORK/agent.run" --quiet \
    --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
}
import() { # import MACHINE OPTION...
  muletto store import "$store" --machine "$@"
}
expect_own_content() { # expect_own_content MACHINE: the newest point is the disk as it is
  rm -f "$WORK/out.raw"
  muletto-restore disk --store "$store" "$1@latest" --disk vda --to "$WORK/out.raw" > /dev/null
  cmp "$WORK/out.raw" "$folder/disk.img" || fail "$1 is not the disk's own content"
}

echo "a raw disk that looks like an image"
asked="begins like a vmdk image.*--format vmdk or --format raw"
expect_failure 2 "$asked" agent_sync one --image "$folder/disk.img"
expect_failure 2 "$asked" agent_sync one --disk "vda=$folder/disk.img"
expect_failure 2 "$asked" import one --disk "vda=$folder/disk.img"
cat > "$WORK/agent.toml" <<TOML
[machines.two]
images = { vda = "$folder/disk.img" }
[machines.three]
images = { vda = "$folder/disk.img" }
image_format = { vda = "raw" }
TOML
expect_failure 2 "$asked.*image_format" agent_sync two --config "$WORK/agent.toml"
agent_sync one --image "$folder/disk.img" --format raw > /dev/null
expect_own_content one
agent_sync three --config "$WORK/agent.toml" > /dev/null
expect_own_content three
import four --disk "vda=$folder/disk.img" --format vda=raw > /dev/null
expect_own_content four

echo "a block device is raw, whatever a guest wrote to it"
device=$(losetup --find --show "$folder/disk.img")
on_exit losetup --detach "$device"
agent_sync device --disk "vda=$device" > /dev/null
expect_own_content device
import device2 --disk "vda=$device" > /dev/null
expect_own_content device2

echo "a told format leads nowhere"
refused="which is not in its folder.*--allow .*secret.raw"
expect_failure 2 "$refused" agent_sync five --image "$folder/disk.img" --format vmdk
expect_failure 2 "$refused" import five --disk "vda=$folder/disk.img" --format vmdk
qemu-img create -q -u -f qcow2 -F raw -b "$secret" "$folder/backing.qcow2" 4M
qemu-img create -q -f qcow2 -o "data_file=$secret,data_file_raw=on" "$folder/data.qcow2" 4M 2> /dev/null
for _ in $(seq 40000); do echo "$marker"; done > "$secret" # qemu-img made the data file again
truncate -s 4M "$secret"
for image in backing data; do
  expect_failure 2 "$refused" agent_sync five --image "$folder/$image.qcow2" --format qcow2
  expect_failure 2 "$refused" import five --disk "vda=$folder/$image.qcow2" --format qcow2
done
ln -s "$secret" "$folder/link.raw"
descriptor "$folder/link.vmdk" "" link.raw
expect_failure 2 "$refused" import five --disk "vda=$folder/link.vmdk" --format vmdk
descriptor "$folder/parent.vmdk" "parentFileNameHint=\"$secret\"" link.raw
expect_failure 2 "$refused" import five --disk "vda=$folder/parent.vmdk" --format vmdk
for name in 'json:{"driver":"file","filename":"/etc/shadow"}' nbd://127.0.0.1:1/x https://127.0.0.1/x; do
  qemu-img create -q -u -f qcow2 -F raw -b "$name" "$folder/name.qcow2" 4M
  expect_failure 2 "not the name of a file" import five --disk "vda=$folder/name.qcow2" --format qcow2
done
qemu-img create -q -f vpc "$folder/child.vhd" 4M
printf '\0\0\0\4' | dd of="$folder/child.vhd" bs=1 seek=60 conv=notrunc status=none
expect_failure 8 "differencing VHD" import five --disk "vda=$folder/child.vhd" --format vhd

echo "no point holds the secret"
for machine in one three four device device2; do
  rm -f "$WORK/out.raw"
  muletto-restore disk --store "$store" "$machine@latest" --disk vda --to "$WORK/out.raw" > /dev/null
  ! grep -q "$marker" "$WORK/out.raw" || fail "the point of $machine holds a file of the host"
done
if muletto store points "$store" --machine five -o json 2> /dev/null | jq -e '.points | length > 0' > /dev/null; then
  fail "a refused image became a point"
fi

echo "what a person allows is read"
import six --disk "vda=$folder/backing.qcow2" --format qcow2 --allow "$secret" > /dev/null
rm -f "$WORK/out.raw"
muletto-restore disk --store "$store" six@latest --disk vda --to "$WORK/out.raw" > /dev/null
cmp "$WORK/out.raw" "$secret"

echo "the reader's rights"
head -c 32M /dev/urandom > "$WORK/random.raw"
qemu-img convert -f raw -O qcow2 "$WORK/random.raw" "$folder/large.qcow2"
chmod 600 "$folder/large.qcow2"
start_background reading muletto-agent sync large --image "$folder/large.qcow2" --format qcow2 --limit 1M \
  --store "$store" --state-directory "$WORK/agent" --run-directory "$WORK/agent.run" --quiet
find_reader() { reader=$(pgrep -f -- "^qemu-nbd.*$folder/large.qcow2" | sed -n 1p) && [ -n "$reader" ]; }
wait_until 20 "the image is being read" find_reader
find_reader
status_of() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$reader/status"; }
[ "$(status_of Uid)" -ge $((0x70000000)) ] || fail "the reader is user $(status_of Uid)"
[ "$(status_of NoNewPrivs)" = 1 ] || fail "the reader can gain rights"
# CAP_DAC_READ_SEARCH, which lets it read the files it sees, and nothing else.
for set in CapPrm CapEff CapBnd; do
  [ "$((16#$(status_of $set)))" = 4 ] || fail "the reader's $set is $(status_of $set)"
done
[ "$(status_of Seccomp)" = 2 ] || fail "the reader has no seccomp filter"
for space in net mnt pid ipc; do
  [ "$(readlink "/proc/$reader/ns/$space")" != "$(readlink "/proc/self/ns/$space")" ] || fail "the reader is in our $space namespace"
done
for hidden in etc root proc sys dev/vda dev/kvm var "${secret#/}"; do
  [ ! -e "/proc/$reader/root/$hidden" ] || fail "the reader sees /$hidden"
done
[ -e "/proc/$reader/root/$folder/large.qcow2" ] || fail "the reader does not see its image"
stop_background reading KILL
reader_is_gone() { [ ! -d "/proc/$reader" ]; }
wait_until 10 "the reader ends with its agent" reader_is_gone
pass
