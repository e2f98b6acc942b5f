#!/usr/bin/env bash
# timeout: 600
# A machine with Secure Boot and a TPM, lost and started from its point: Secure Boot is on, a UEFI variable and an NV
# index of the TPM that the guest wrote on its old host are there, before and after the VM was kept; a loader nobody
# signed is refused.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh swtpm swtpm_setup mcopy
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
[ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ] || skip "no UEFI firmware with Microsoft's keys here"
ensure_libvirt

state=$WORK/state run=$WORK/run tpms=$WORK/libvirt-main/lib/swtpm

# What the guest does: plain TPM 2.0 commands (TCG, part 3), as hexadecimal.
mkdir -p "$WORK/extra/www/cgi-bin" "$WORK/extra/sbin"
cat > "$WORK/extra/sbin/tpm" << 'TPM'
#!/bin/sh
# tpm HEX: sends a command, prints the answer.
exec 3<> /dev/tpm0
printf "$(echo "$1" | sed 's/../\\x&/g')" >&3
dd bs=4096 count=1 <&3 2>/dev/null | od -An -tx1 | tr -d ' \n'
TPM
cat > "$WORK/extra/www/cgi-bin/seal" << 'SEAL'
#!/bin/sh
# NV_DefineSpace and NV_Write of index 01500010, 16 bytes; a UEFI variable.
session=00000009400000090000000000
printf 'Content-type: text/plain\r\n\r\n'
tpm "80020000002d0000012a40000001${session}0000000e01500010000b0206000600000010"
tpm "800200000033000001374000000101500010${session}00106d756c6574746f2d6b6565702d6d65000000"
mount -t efivarfs e /sys/firmware/efi/efivars
printf '\7\0\0\0keep me' > /sys/firmware/efi/efivars/Muletto-5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b
SEAL
cat > "$WORK/extra/www/cgi-bin/machine" << 'MACHINE'
#!/bin/sh
printf 'Content-type: text/plain\r\n\r\n'
cd /
mount -t efivarfs e /sys/firmware/efi/efivars 2>/dev/null
cd /sys/firmware/efi/efivars
echo "secure=$(tail -c 1 SecureBoot-* | od -An -tu1)"
echo "variable=$(tail -c 7 Muletto-*)"
echo "tpm=$(tpm 8002000000230000014e40000001015000100000000940000009000000000000100000)"
MACHINE
chmod 755 "$WORK"/extra/sbin/tpm "$WORK"/extra/www/cgi-bin/*
"$SOURCE/tests/guests/build-guest" "$WORK/vault.img" --hostname vault --secure-boot --extra "$WORK/extra"
"$SOURCE/tests/guests/build-guest" "$WORK/rogue.img" --hostname rogue --firmware uefi

# define_secure NAME   a machine of the old host, on $WORK/NAME.img.
define_secure() {
  chown libvirt-qemu "$WORK/$1.img"
  virsh define /dev/stdin > /dev/null << XML
<domain type='qemu'><name>$1</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
    <firmware><feature enabled='yes' name='secure-boot'/><feature enabled='yes' name='enrolled-keys'/></firmware>
    <nvram>$WORK/$1.nvram</nvram></os>
  <features><acpi/><smm state='on'/><tcg><tb-cache unit='MiB'>128</tb-cache></tcg></features>
  <cpu mode='maximum'/>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$WORK/$1.img'/>
      <target dev='vda' bus='virtio'/></disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='file'><source path='$WORK/$1.serial.log'/></serial>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
  </devices>
</domain>
XML
  on_exit remove_guest "$1" "$LIBVIRT_DEFAULT_URI"
}

echo "the machine on its old host"
define_secure vault
virsh start vault > /dev/null
wait_guest_http vault 240
guest_http vault /cgi-bin/seal > "$WORK/sealed"
guest_http vault /cgi-bin/machine > "$WORK/before"
cat "$WORK/before"
grep -q "secure= *1" "$WORK/before" || fail "Secure Boot is off on the old host"
grep -q "tpm=8002.*6d756c6574746f2d6b6565702d6d65" "$WORK/before" || fail "nothing in the TPM: $(cat "$WORK/sealed")"
virsh destroy vault > /dev/null

# Its twin with a loader of nobody's, never started, with the keys of the first.
define_secure rogue
cp "$WORK/vault.nvram" "$WORK/rogue.nvram"
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
printf 'tpm_directory = "%s"\n' "$tpms" > "$WORK/agent.toml"
for name in vault rogue; do
  muletto-agent sync $name --store "$state/stores/default" --state-directory "$WORK/agent" --run-directory "$WORK/agent-run" \
    --libvirt-uri "$LIBVIRT_DEFAULT_URI" --config "$WORK/agent.toml" --quiet
  virsh undefine $name --nvram > /dev/null
done
[ -z "$(ls "$tpms")" ] || fail "the old host's TPM is still there"

printf '[boot]\ntpm_directory = "%s"\n' "$tpms" > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"
muletto tenant adopt default > /dev/null

echo "the loader that nobody signed is refused"
rogue=$(muletto boot start rogue@latest --network none -o json | json .boot.id)
refused() { muletto boot serial "$rogue" | grep -aE "Access Denied|Security Violation"; }
wait_until 120 "the firmware refuses the loader" refused
! muletto boot serial "$rogue" | has -a READY || fail "an unsigned system runs"
muletto boot stop "$rogue" --discard --yes

echo "the instant VM"
muletto boot check vault@latest -o json > "$WORK/check.json"
jq -e '.check.possible and .check.secure_boot and .check.uefi_variables and .check.tpm == "kept"' \
  "$WORK/check.json" > /dev/null || fail "$(cat "$WORK/check.json")"
vault=$(muletto boot start vault@latest --wait --http / --timeout 5m -o json | json .boot.id)
expect_same_machine() {
  local address
  address=$(muletto boot show "$vault" -o json | json '.boot.addresses[0]')
  curl -sf -m 60 "http://$address/cgi-bin/machine" > "$WORK/after"
  cmp "$WORK/before" "$WORK/after" || fail "before: $(cat "$WORK/before"); after: $(cat "$WORK/after")"
}
expect_same_machine
muletto boot stop "$vault" --keep
muletto boot power "$vault" power-on > /dev/null
muletto boot wait "$vault" --http / --timeout 5m
expect_same_machine
muletto boot stop "$vault" --discard --yes
[ -z "$(ls "$tpms")" ] || fail "the VM's TPM is left: $(ls "$tpms")"
pass
