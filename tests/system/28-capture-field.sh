#!/usr/bin/env bash
# Machines as people have them: how a machine was stopped, images that another program writes to, old qcow2 images,
# UEFI variables in every form, volumes, disks that stay out of the point, freezes by others, and 'forget'.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

# define_bare NAME IMAGE FORMAT [OS [DEVICES [AFTER]]]   defines a machine without a system in it, and does not start it.
define_bare() {
  cat > "$WORK/$1.xml" << XML
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$1</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os${4:-><type arch='x86_64' machine='q35'>hvm</type>}</os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='$3'/><source file='$2'/><target dev='vda' bus='virtio'/></disk>
    ${5:-}
  </devices>${6:-}
</domain>
XML
  virsh define "$WORK/$1.xml" > /dev/null
  on_exit remove_guest "$1" "$LIBVIRT_DEFAULT_URI"
}

make_image() { # NAME [QEMU-IMG OPTION...]
  local name=$1
  shift
  head -c 3000000 /dev/urandom > "$WORK/content"
  truncate -s 4M "$WORK/content"
  qemu-img convert -f raw -O qcow2 "$@" "$WORK/content" "$WORK/$name.qcow2"
}

expect_status() { # NAME CODE
  local status=0
  sync_outcome "$1" || status=$?
  [ $status -eq "$2" ] || fail "exit code $status: $(cat "$WORK/$1.log")"
}

result() { json ".$1" < "$WORK/result"; }
expect_result() { # CONSISTENCY NOTE
  [ "$(result consistency)" = "$1" ] || fail "the point is $(result consistency), not $1: $(cat "$WORK/result")"
  [[ $(result note) =~ $2 ]] || fail "'$2' is not in the note: $(result note)"
}

require_capture

echo "how it was stopped"
make_image bare
define_bare bare "$WORK/bare.qcow2" qcow2
agent_sync bare > "$WORK/result"
expect_result crash "does not know how it stopped"
virsh start bare > /dev/null
virsh destroy bare > /dev/null
agent_sync bare > "$WORK/result"
expect_result crash "it was forced off"
virsh start bare > /dev/null
virsh managedsave bare > /dev/null
agent_sync bare > "$WORK/result"
expect_result crash "its memory is saved on the host"
virsh managedsave-remove bare > /dev/null
virsh start bare > /dev/null
kill -s KILL "$(pgrep -f -- "-name guest=bare,.*libvirt")"
wait_guest_state bare "shut off" 30
agent_sync bare > "$WORK/result"
expect_result crash "crashed"

echo "somebody else writes to its image"
define_bare other "$WORK/bare.qcow2" qcow2
virsh start other > /dev/null
expect_failure 4 "open for writing in another QEMU" agent_sync bare --quiet
virsh suspend other > /dev/null
expect_failure 4 "open for writing in another QEMU" agent_sync bare --quiet
virsh destroy other > /dev/null
start_background nbd qemu-nbd --persistent --socket "$WORK/nbd.sock" -f qcow2 "$WORK/bare.qcow2"
wait_until 20 "qemu-nbd serves" test -S "$WORK/nbd.sock"
expect_failure 4 "open for writing in another QEMU" agent_sync bare --quiet
stop_background nbd
make_image base
qemu-img create -q -f qcow2 -b "$WORK/base.qcow2" -F qcow2 "$WORK/top.qcow2"
define_bare layered "$WORK/top.qcow2" qcow2
start_sync layered layered --limit 1M
wait_until 60 "the image is being read" _backup_socket
# Not by QEMU, whose lock on it would be seen.
touch "$WORK/base.qcow2"
expect_status layered 4
grep -q "base.qcow2 was written to while it was read" "$WORK/layered.log" || fail "no reason: $(cat "$WORK/layered.log")"

echo "an image of version 2"
make_image old -o compat=0.10
define_bare old "$WORK/old.qcow2" qcow2
make_image new
virsh attach-disk old "$WORK/new.qcow2" vdb --subdriver qcow2 --config > /dev/null
virsh start old > /dev/null
agent_sync old > "$WORK/result"
agent_sync old > "$WORK/result"
[ "$(json '.disks | map(.incremental) | tostring' < "$WORK/result")" = "[false,true]" ] || fail "$(cat "$WORK/result")"
[[ $(result note) =~ old.qcow2.*version\ 2.*compat=1.1 ]] || fail "the note: $(result note)"
point_disk "$(result point)" vda "$WORK/point"
qemu-img compare -q -U -f raw -F qcow2 "$WORK/point" "$WORK/old.qcow2" || fail "the point differs"
rm "$WORK/point"
start_sync off old --full --limit 200K
wait_until 60 "the disks are being read" _backup_socket
virsh destroy old > /dev/null
expect_status off 4
grep -q "was switched off during the sync" "$WORK/off.log" || fail "no reason: $(cat "$WORK/off.log")"

echo "UEFI variables in a qcow2 image, and where libvirt puts them"
head -c 540672 /dev/urandom > "$WORK/variables"
qemu-img convert -f raw -O qcow2 "$WORK/variables" "$WORK/variables.qcow2"
make_image efi
uefi=" firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>"
define_bare efi "$WORK/efi.qcow2" qcow2 "$uefi<nvram>$WORK/variables.qcow2</nvram>"
agent_sync efi > "$WORK/result"
muletto-restore machine --store "$STORE" "$(result point)" --to "$WORK/efi-back" > /dev/null
cmp "$(find "$WORK/efi-back" -name '*nvram*')" "$WORK/variables" || fail "the variables are not the chip's content"
define_bare lost "$WORK/new.qcow2" qcow2 "$uefi<nvram>$WORK/nowhere.fd</nvram>"
agent_sync lost > "$WORK/result"
expect_result crash "not in the point: UEFI variables .*nowhere.fd"

echo "what stays out is said"
define_bare parts "$WORK/bare.qcow2" qcow2 '' "
    <disk type='file' device='disk'><source file='$WORK/content'/><target dev='vdb' bus='virtio'/><readonly/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$WORK/base.qcow2'/><target dev='vdc' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>" \
  "<qemu:commandline><qemu:arg value='-name'/><qemu:arg value='x'/></qemu:commandline>"
agent_sync parts --exclude vdc > "$WORK/result"
for part in "vdb .read-only" "vdc .excluded" "qemu:commandline"; do
  [[ $(result note) =~ not\ in\ the\ point:.*$part ]] || fail "'$part' is not in the note: $(result note)"
done
[[ ! $(result note) =~ sda ]] || fail "an empty CD-ROM is in the note: $(result note)"

echo "a volume of a pool"
mkdir -p "$WORK/pool"
virsh pool-create-as field dir --target "$WORK/pool" > /dev/null
on_exit virsh pool-destroy field
cp "$WORK/new.qcow2" "$WORK/pool/data.qcow2"
virsh pool-refresh field > /dev/null
define_bare volume "$WORK/bare.qcow2" qcow2 '' "
    <disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='field' volume='data.qcow2'/><target dev='vdb' bus='virtio'/></disk>"
agent_sync volume > "$WORK/result"
point_disk "$(result point)" vdb "$WORK/point"
qemu-img compare -q -f raw -F qcow2 "$WORK/point" "$WORK/pool/data.qcow2" || fail "the volume differs"
agent_sync volume --exclude "$WORK/pool/*" > "$WORK/result"
[ "$(json '.disks | length' < "$WORK/result")" -eq 1 ] || fail "the rule about paths did not hold: $(cat "$WORK/result")"

echo "an instant VM on the same host is no machine to protect"
make_image instant
define_bare instant "$WORK/instant.qcow2" qcow2 '' '' "<metadata><muletto:vm xmlns:muletto='urn:muletto:instant-vm:1' boot='00'/></metadata>"
muletto-agent list --libvirt-uri "$LIBVIRT_DEFAULT_URI" > "$WORK/list"
grep -q "^bare " "$WORK/list" || fail "the list: $(cat "$WORK/list")"
! grep -q "^instant " "$WORK/list" || fail "the instant VM is listed"

echo "forget"
make_image gone
define_bare gone "$WORK/gone.qcow2" qcow2
virsh start gone > /dev/null
agent_sync gone > "$WORK/result"
virsh destroy gone > /dev/null
! virsh undefine gone > /dev/null 2>&1 || fail "libvirt allows to undefine a domain with checkpoints: this test is vacuous"
muletto-agent forget gone --state-directory "$STATE" --run-directory "$RUN" --libvirt-uri "$LIBVIRT_DEFAULT_URI" > "$WORK/forgotten"
grep -q "removed checkpoint muletto-" "$WORK/forgotten" || fail "$(cat "$WORK/forgotten")"
grep -q "removed bitmap muletto-.* of vda" "$WORK/forgotten" || fail "$(cat "$WORK/forgotten")"
! qemu-img info "$WORK/gone.qcow2" | has "name: muletto-" || fail "a bitmap is left"
agent_sync gone > "$WORK/result"
[[ $(result note) =~ read\ in\ full ]] || fail "the note: $(result note)"
muletto-agent forget gone --state-directory "$STATE" --run-directory "$RUN" --libvirt-uri "$LIBVIRT_DEFAULT_URI" | has "nothing of it" || fail "forgotten twice"
virsh undefine gone > /dev/null
muletto-agent forget gone --state-directory "$STATE" --run-directory "$RUN" --libvirt-uri "$LIBVIRT_DEFAULT_URI" > /dev/null
pass
