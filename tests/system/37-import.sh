#!/usr/bin/env bash
# timeout: 900
# Machines that other hypervisors exported become points: OVA, OVF, VMX with each kind of VMDK, chains of VHD and
# VHDX, Hyper-V's folder, Proxmox' VMA. Each disk has the content that qemu-img, or the original, says; the definition
# has firmware, CPUs, memory, cards and the order and bus of disks. What cannot be read rightly is refused by name.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/import-lib.sh"

require_root
require_programs muletto muletto-restore muletto-parse
require_commands qemu-img qemu-nbd jq python3 zstd gzip

store=$WORK/store
muletto store init "$store" > /dev/null
cd "$WORK"
make_disk one.raw 24
make_disk two.raw 9
foreign=$SOURCE/tests/tools/foreign-images

import() { muletto store import "$store" "$@" > "$WORK/import.out"; }
# expect_machine MACHINE DISK=RAW...: the newest point has these disks, and no others, with that content.
expect_machine() {
  local machine=$1 each count=0
  shift
  rm -rf "$WORK/out"
  muletto-restore machine --store "$store" "$machine@latest" --to "$WORK/out" > "$WORK/out.txt" 2> /dev/null
  for each in "$@"; do
    count=$((count + 1))
    cmp "$WORK/out/"*"${each%%=*}.img" "${each#*=}" || fail "$machine: ${each%%=*} is not the content of ${each#*=}"
  done
  [ "$(find "$WORK/out" -name '*.img' | wc -l)" -eq "$count" ] || fail "$machine has other disks: $(ls "$WORK/out")"
}
# expect_definition REGEX...: of the machine that expect_machine wrote.
expect_definition() {
  local each
  for each in "$@"; do
    tr -d '\n' < "$(echo "$WORK"/out/*.xml)" | sed 's/> *</></g; s, />,/>,g' | grep -Eq -- "$each" || fail "no $each in: $(cat "$WORK"/out/*.xml)"
  done
}
expect_note() { grep -Eq -- "$1" "$WORK/import.out" || fail "the note is: $(cat "$WORK/import.out")"; }

echo "OVA: two stream-optimised disks, a manifest"
mkdir ova
for name in one two; do qemu-img convert -f raw -O vmdk -o subformat=streamOptimized $name.raw ova/web-$name.vmdk; done
write_ovf ova/web.ovf web-one.vmdk:$((24 << 20)) web-two.vmdk:$((9 << 20))
write_manifest ova web SHA256
pack_ova web.ova ova web.ovf web.mf web-one.vmdk web-two.vmdk
import web.ova
expect_machine web sda=one.raw sdb=two.raw
expect_definition "<memory unit=\"b\">$((768 << 20))<" "<vcpu>4<" 'sockets="2" cores="2"' '<mac address="00:50:56:ab:cd:ef"' \
  '<model type="vmxnet3"' 'model="vmpvscsi"' 'dev="sda" bus="scsi".*dev="sdb" bus="scsi"' 'machine="pc"'

echo "OVF in a folder, given as the folder; SHA-1, as old ones have; UEFI"
cp -r ova ovf
write_ovf ovf/web.ovf --firmware efi web-one.vmdk:$((24 << 20)) web-two.vmdk:$((9 << 20))
write_manifest ovf web SHA1
import ovf --machine web-folder
expect_machine web-folder sda=one.raw sdb=two.raw
expect_definition '<os firmware="efi">' 'machine="q35"'
rm ovf/web.mf
import ovf/web.ovf --machine web-plain
expect_note "no manifest"

echo "what is wrong with an OVA is said"
mkdir bad && cp ova/* bad/
sed -i 's/^\(SHA256(web-two.vmdk)= \).../\1000/' bad/web.mf
pack_ova bad.ova bad web.ovf web.mf web-one.vmdk web-two.vmdk
expect_failure 8 "web-two.vmdk is not what its manifest says" import bad.ova --machine bad
pack_ova missing.ova ova web.ovf web.mf web-one.vmdk
expect_failure 8 "web-two.vmdk.*is missing" import missing.ova --machine bad
head -c 900000 web.ova > cut.ova
expect_failure 8 "cut off" import cut.ova --machine bad
# Without a manifest, a disk that ends early must be noticed by itself.
head -c $(($(stat -c %s ova/web-two.vmdk) / 2)) ova/web-two.vmdk > bad/web-two.vmdk
pack_ova short.ova bad web.ovf web-one.vmdk web-two.vmdk
expect_failure 8 "web-two.vmdk.*cut off" import short.ova --machine bad
python3 - << 'PYTHON'
import io, tarfile
def write(name, members):
    with tarfile.open(name, "w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info
ovf = open("ova/web.ovf", "rb").read()
write("up.ova", [(member("web.ovf"), ovf), (member("../../etc/cron.d/x"), b"x")])
write("absolute.ova", [(member("web.ovf"), ovf), (member("/etc/cron.d/x"), b"x")])
write("link.ova", [(member("web.ovf"), ovf), (member("web-one.vmdk", tarfile.SYMTYPE, "/etc/shadow"), b"")])
write("twice.ova", [(member("web.ovf"), ovf), (member("web.ovf"), ovf)])
write("many.ova", [(member("web.ovf"), ovf)] + [(member("f%d" % i), b"") for i in range(5000)])
data = bytearray(open("web.ova", "rb").read())
data[124:136] = b"77777777777\0"
data[148:156] = b"        "
data[148:156] = b"%06o\0 " % sum(data[:512])
open("size.ova", "wb").write(data)
bomb = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12)) + b"]><Envelope>&m;</Envelope>"
write("bomb.ova", [(member("web.ovf"), bomb)])
write("deep.ova", [(member("web.ovf"), b"<a>" * 100000)])
lines = b'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
lines += b'RW 49152 FLAT "/etc/shadow" 0\n'
write("elsewhere.ova", [(member("web.ovf"), ovf), (member("web-one.vmdk"), lines), (member("web-two.vmdk"), lines)])
write("disks.ova", [(member("web.ovf"), ovf.replace(b"<rasd:ResourceType>10<", b"<rasd:ResourceType>17<").replace(
    b"<rasd:Connection>Office", b"<rasd:HostResource>ovf:/disk/vmdisk0</rasd:HostResource><rasd:Connection>Office"))])
item = b"<Item><rasd:HostResource>ovf:/disk/vmdisk0</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>"
write("thousands.ova", [(member("web.ovf"), ovf.replace(b"<vmw:Config", item * 3000 + b"<vmw:Config"))])
two = ovf.replace(b"</VirtualSystem>", b"</VirtualSystem><VirtualSystem ovf:id='db'/>")
write("two.ova", [(member("web.ovf"), two)])
write("up-name.ova", [(member("web.ovf"), ovf.replace(b'href="web-one.vmdk"', b'href="../one.vmdk"'))])
write("packed.ova", [(member("web.ovf"), ovf.replace(b'href="web-one.vmdk"', b'href="web-one.vmdk" ovf:compression="gzip"'))])
PYTHON
expect_failure 2 "leads out of its folder" import up.ova
expect_failure 2 "absolute name" import absolute.ova
expect_failure 2 "is a link" import link.ova
expect_failure 2 "there twice" import twice.ova
expect_failure 2 "more members" import many.ova
expect_failure 8 "cut off" import size.ova
expect_failure 8 "describes no machine|not an OVF|corrupt|bomb.ova" import bomb.ova
expect_failure 8 "deep.ova" import deep.ova
expect_failure 2 "content in another file, /etc/shadow" import elsewhere.ova
expect_failure 2 "a point has at most 64" import thousands.ova
expect_failure 2 "describes 2 machines \(web, db\)" import two.ova
expect_failure 2 "not a file beside it" import up-name.ova
expect_failure 2 "compressed with gzip" import packed.ova

echo "VMX: every kind of VMDK that can be read"
mkdir vmx
number=0
{
  printf 'config.version = "8"\nvirtualHW.version = "19"\ndisplayName = "accounting |28old|29"\nguestOS = "windows2019srv-64"\n'
  printf 'firmware = "efi"\nnumvcpus = "6"\ncpuid.coresPerSocket = "3"\nmemsize = "2048"\nuuid.bios = "56 4d 11 22 33 44 55 66-77 88 99 aa bb cc dd ee"\n'
  printf 'scsi0.present = "TRUE"\nscsi0.virtualDev = "lsisas1068"\nsata0.present = "TRUE"\n'
  printf 'sata0:1.present = "TRUE"\nsata0:1.deviceType = "cdrom-image"\nsata0:1.fileName = "/nowhere/tools.iso"\n'
  printf 'ethernet0.present = "TRUE"\nethernet0.virtualDev = "e1000e"\nethernet0.addressType = "generated"\nethernet0.generatedAddress = "00:0c:29:aa:bb:cc"\n'
  printf 'ethernet0.networkName = "VM Network"\nbios.hddOrder = "scsi0:2"\n'
} > vmx/accounting.vmx
for kind in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat streamOptimized; do
  qemu-img convert -f raw -O vmdk -o subformat=$kind one.raw vmx/$kind.vmdk
  printf 'scsi0:%d.present = "TRUE"\nscsi0:%d.fileName = "%s.vmdk"\n' $number $number $kind >> vmx/accounting.vmx
  number=$((number + 1))
done
printf 'sata0:0.present = "TRUE"\nsata0:0.fileName = "child.vmdk"\n' >> vmx/accounting.vmx
# A snapshot's disk of Workstation, which QEMU reads with the one below.
qemu-img convert -f raw -O vmdk two.raw vmx/base.vmdk
(cd vmx && qemu-img create -q -f vmdk -F vmdk -b base.vmdk child.vmdk)
qemu-img bench -w -c 20 -s 4096 -S 65536 -o 8192 --pattern 90 -f vmdk vmx/child.vmdk > /dev/null
qemu-img convert -f vmdk -O raw vmx/child.vmdk child.raw
import vmx
expect_machine "accounting (old)" sda=one.raw sdb=one.raw sdc=one.raw sdd=one.raw sde=one.raw sdf=child.raw
expect_definition '<os firmware="efi">' 'offset="localtime"' "<vcpu>6<" 'cores="3"' 'lsisas1068' '00:0c:29:aa:bb:cc' 'model type="e1000e"' \
  '<uuid>564d1122-3344-5566-7788-99aabbccddee<' 'dev="sdc" bus="scsi"/><boot order="1"' 'dev="sdf" bus="sata"'

echo "what QEMU would read wrongly, or not at all, is refused by name"
refused() { # refused CODE REGEX: of vmx/accounting.vmx with one disk, vmx/x.vmdk
  grep -v 'scsi0:[0-9]\|sata0:0' vmx/accounting.vmx > vmx/x.vmx
  printf 'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "%s"\n' "${3:-x.vmdk}" >> vmx/x.vmx
  expect_failure "$1" "$2" import vmx/x.vmx --machine x
}
for kind in seSparse vmfsSparse vmfsRawDeviceMap fullDevice custom; do
  printf '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="%s"\nRW 49152 SESPARSE "x-000001-sesparse.vmdk"\n' $kind > vmx/x.vmdk
  refused 2 "kind '$kind', which cannot be read"
done
sed 's/^RW \([0-9]*\) FLAT/RDONLY \1 FLAT/' vmx/monolithicFlat.vmdk > vmx/x.vmdk
refused 2 "a part of a kind that cannot be read: RDONLY"
head -c $(($(stat -c %s vmx/monolithicSparse.vmdk) - 70000)) vmx/monolithicSparse.vmdk > vmx/x.vmdk
refused 8 "cut off"
sed 's/monolithicFlat-flat/x-flat/' vmx/monolithicFlat.vmdk > vmx/x.vmdk
head -c 20000000 vmx/monolithicFlat-flat.vmdk > vmx/x-flat.vmdk
refused 8 "x-flat.vmdk is cut off"
printf '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/shadow" 0\n' > vmx/x.vmdk
refused 2 "/etc/shadow.*not in its folder"
refused 2 "not in its folder" /etc/shadow
refused 2 "not in its folder" ../one.raw
refused 3 "cannot be opened" nothing.vmdk

echo "VHD: fixed, dynamic, and a chain of three"
change_disk one.raw one-b.raw
change_disk one-b.raw one-c.raw
mkdir vhd
qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size=on one.raw vhd/base.vhd
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on one.raw vhd/fixed.vhd
"$foreign" vhd vhd/base.vhd vhd/middle.vhd one-b.raw
"$foreign" vhd vhd/middle.vhd vhd/top.avhd one-c.raw
for each in base:one middle:one-b fixed:one; do
  import "vhd/${each%:*}.vhd"
  expect_machine "${each%:*}" "sda=${each#*:}.raw"
done
import vhd/top.avhd
expect_machine top sda=one-c.raw
expect_note "default one"
muletto store import "$store" --machine by-disk --disk vda=vhd/top.avhd --format vhd > /dev/null
expect_machine by-disk vda=one-c.raw

echo "VHDX: the same"
mkdir vhdx
qemu-img convert -f raw -O vhdx -o subformat=dynamic,block_size=2097152 one.raw vhdx/base.vhdx
"$foreign" vhdx vhdx/base.vhdx vhdx/middle.avhdx one-b.raw
"$foreign" vhdx vhdx/middle.avhdx vhdx/top.avhdx one-c.raw
import vhdx/top.avhdx --machine topx
expect_machine topx sda=one-c.raw
import vhdx/base.vhdx --machine basex
expect_machine basex sda=one.raw

echo "Hyper-V's folder: the newest of each chain, and no more"
mkdir -p "hyperv/Virtual Hard Disks" "hyperv/Virtual Machines"
mv vhdx/* "hyperv/Virtual Hard Disks/"
qemu-img convert -f raw -O vhdx two.raw "hyperv/Virtual Hard Disks/zz-data.vhdx"
head -c 4096 /dev/urandom > "hyperv/Virtual Machines/0E6C1A0E-0000-0000-0000-000000000000.vmcx"
import hyperv
expect_machine hyperv sda=one-c.raw sdb=two.raw
expect_note "vmcx.*cannot be read.*default"
"$foreign" vhdx "hyperv/Virtual Hard Disks/middle.avhdx" "hyperv/Virtual Hard Disks/other.avhdx" one.raw
expect_failure 2 "several disks that build on middle.avhdx" import hyperv
rm "hyperv/Virtual Hard Disks/other.avhdx"*

echo "a parent that is missing, another, or changed is refused by name"
mkdir alone && cp vhd/top.avhd alone/
expect_failure 3 "differencing VHD.*middle.vhd" import alone/top.avhd
cp vhd/base.vhd alone/middle.vhd
expect_failure 2 "not the file that" import alone/top.avhd
cp vhd/middle.vhd alone/MIDDLE.VHD && rm alone/middle.vhd
expect_failure 3 "differencing VHD.*base.vhd" import alone/top.avhd
import alone/top.avhd --machine allowed --allow vhd/base.vhd
expect_machine allowed sda=one-c.raw
ln -s "$WORK/vhd/base.vhd" alone/base.vhd
expect_failure 3 "differencing VHD.*base.vhd" import alone/top.avhd
head -c 3000000 vhd/middle.vhd > alone/MIDDLE.VHD
expect_failure 8 "MIDDLE.VHD" import alone/top.avhd
qemu-img convert -f raw -O vhdx one.raw "hyperv/Virtual Hard Disks/base.vhdx"
expect_failure 2 "not the file that" import "hyperv/Virtual Hard Disks/top.avhdx"

echo "VMA of Proxmox, plain and packed, with its configuration"
cat > 100.conf << CONF
#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:
agent: 1
bios: ovmf
boot: order=virtio1;scsi0;net0
cores: 2
efidisk0: local-lvm:vm-100-disk-2,efitype=4m,size=528K
machine: q35
memory: 1536
name: erp
net0: virtio=BC:24:11:2F:00:01,bridge=vmbr0,firewall=1
ide2: local:iso/debian.iso,media=cdrom
ostype: l26
scsi0: local-lvm:vm-100-disk-0,size=24M
scsi5: local-lvm:vm-100-disk-5,backup=0,size=1G
scsihw: virtio-scsi-single
smbios1: uuid=7d3f0a10-1111-4222-8333-444455556666
sockets: 2
virtio1: local-lvm:vm-100-disk-1,size=9M

[before]
name: another
CONF
head -c 540672 /dev/urandom > efi.raw
"$foreign" vma erp.vma 100.conf drive-efidisk0=efi.raw drive-scsi0=one.raw drive-virtio1=two.raw
import erp.vma
expect_machine erp vda=two.raw sda=one.raw
expect_definition '<os firmware="efi">' 'machine="q35"' "<vcpu>4<" "<memory unit=\"b\">$((1536 << 20))<" 'bc:24:11:2f:00:01' 'model="virtio-scsi"' \
  'dev="vda" bus="virtio"/><boot order="1"' '7d3f0a10-1111-4222-8333-444455556666'
cmp "$(find out -name '*nvram*')" efi.raw || fail "the UEFI variables are not those of the backup: $(ls out)"
expect_note "not in the point: scsi5"
zstd -q erp.vma -o packed.vma.zst
gzip -c erp.vma > packed2.vma.gz
import packed.vma.zst --machine erp-zst
expect_machine erp-zst vda=two.raw sda=one.raw
import packed2.vma.gz --machine erp-gz
expect_machine erp-gz vda=two.raw sda=one.raw
if command -v lzop > /dev/null; then
  lzop -q -c erp.vma > packed3.vma.lzo
  import packed3.vma.lzo --machine erp-lzo
  expect_machine erp-lzo vda=two.raw sda=one.raw
fi
head -c 400000 packed.vma.zst > cut.vma.zst
expect_failure 8 "cannot be unpacked" import cut.vma.zst
head -c 1500000 erp.vma > cut.vma
expect_failure 8 "not a whole VMA archive" import cut.vma
# At the end of an extent: only the parts that are missing show it.
python3 - << 'PYTHON'
data = open("erp.vma", "rb").read()
open("cut2.vma", "wb").write(data[: data.rfind(b"VMAE")])
broken = bytearray(data)
broken[data.rfind(b"VMAE") + 45] ^= 1
open("broken.vma", "wb").write(broken)
PYTHON
expect_failure 8 "parts of its disks|cut off" import cut2.vma
expect_failure 8 "is damaged" import broken.vma
[ -z "$(find /tmp -maxdepth 1 -name 'muletto-import-*' -newer 100.conf)" ] || fail "unpacked archives were left"

echo "a file that is written to while it is read"
make_disk large.raw 200
dd if=/dev/urandom of=large.raw bs=1M count=150 conv=notrunc status=none
start_background writer bash -c 'while sleep 0.05; do printf x | dd of="$1" bs=1 seek=100000000 conv=notrunc status=none; done' _ large.raw
expect_failure 4 "written to while it was read" import --machine large --disk vda=large.raw
stop_background writer KILL

echo "no refused import left a point"
for machine in bad x large; do
  ! muletto store points "$store" --machine $machine -o json 2> /dev/null | jq -e '.points | length > 0' > /dev/null || fail "$machine has a point"
done
pass
