#!/usr/bin/env bash
# What a guest notices, and what goes along with its disks: freeze hooks and the consistency they give, a bound for
# what the guest may overwrite while a slow sync runs, UEFI variables and TPM state.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

consistency_is() {
  [ "$(json .consistency < "$WORK/result")" = "$1" ] || fail "not $1: $(cat "$WORK/result")"
  [[ $(json .note < "$WORK/result") == *$2* ]] || fail "no '$2' in the note: $(cat "$WORK/result")"
}

require_capture
mkdir -p "$WORK/extra/etc/qemu" "$WORK/extra/etc/muletto/hooks.d"
cp "$SOURCE/docs/hooks/muletto-freeze-hook" "$WORK/extra/etc/qemu/fsfreeze-hook"
# Stands for a database: what it wrote with the freeze is in the point.
cat > "$WORK/extra/etc/muletto/hooks.d/database" << 'HOOK'
#!/bin/sh
[ ! -e /run/broken ] || exit 1
echo "$1 $(cat /proc/uptime)" >> /data/database.log
HOOK
chmod 755 "$WORK/extra/etc/muletto/hooks.d/database"
build_guest shop --firmware uefi --extra "$WORK/extra"
tpm=
if command -v swtpm > /dev/null && command -v swtpm_setup > /dev/null; then
  tpm="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
fi
# A domain with a TPM: define_guest's, with one more device.
define_guest shop "$WORK/shop.qcow2" --uefi --no-net
if [ -n "$tpm" ]; then
  virsh destroy shop > /dev/null
  virsh dumpxml --inactive shop | sed "s|</devices>|$tpm</devices>|" > "$WORK/shop-tpm.xml"
  virsh define "$WORK/shop-tpm.xml" > /dev/null
  virsh start shop > /dev/null
fi
guest_agent_ready shop 240
printf 'tpm_directory = "%s"\n[machines.shop]\nhooks = true\n' "$WORK/libvirt-main/lib/swtpm" > "$WORK/agent.toml"

echo "hooks run: the point is application-consistent"
agent_sync shop --quiet --config "$WORK/agent.toml" > "$WORK/result"
consistency_is application ""
point=$(json .point < "$WORK/result")
echo "  frozen for $(json .frozen_ms < "$WORK/result") ms"
agent_sync shop --quiet --config "$WORK/agent.toml" > "$WORK/result"
consistency_is application ""
echo "  frozen for $(json .frozen_ms < "$WORK/result") ms"
run_in_guest shop "touch /run/broken"
agent_sync shop --quiet --config "$WORK/agent.toml" > "$WORK/result"
consistency_is file-system "failed freeze hooks of the guest: database"
run_in_guest shop "rm /run/broken; chmod -x /etc/qemu/fsfreeze-hook"
agent_sync shop --quiet --config "$WORK/agent.toml" > "$WORK/result" 2> "$WORK/err" || true
run_in_guest shop "chmod +x /etc/qemu/fsfreeze-hook"
[ "$(json .consistency < "$WORK/result")" != application ] || fail "hooks did not run: $(cat "$WORK/result")"
echo "  $(json .note < "$WORK/result")"

echo "a freeze by another program is left alone"
echo "  froze $(guest_agent shop guest-fsfreeze-freeze) file systems: $(guest_agent shop guest-fsfreeze-status)"
agent_sync shop --quiet > "$WORK/result"
consistency_is crash "another program had frozen the guest"
[ "$(guest_agent shop guest-fsfreeze-status)" = '"frozen"' ] || fail "the sync thawed what another program had frozen"
guest_agent shop guest-fsfreeze-thaw > /dev/null
agent_sync shop --quiet > "$WORK/result"
consistency_is file-system ""

echo "UEFI variables and TPM state are in the point"
muletto-restore machine --store "$STORE" "$point" --to "$WORK/machine" > /dev/null
cmp "$WORK/machine/nvram" "$WORK/shop.nvram"
if [ -n "$tpm" ]; then
  cmp "$WORK/machine/tpm" "$(find "$WORK/libvirt-main/lib/swtpm" -name tpm2-00.permall)"
else
  echo "  no swtpm here: TPM state was not tried"
fi

echo "a slow sync does not stall the guest: at the bound it is given up"
before=$(muletto store points "$STORE" --output json | json length)
run_in_guest shop "head -c 30000000 /dev/urandom > /data/big; sync"
start_sync slow shop --full --limit 1M --scratch-limit 8M
wait_until 60 "the backup job of a sync" _backup_begun vda
run_in_guest shop "for i in 1 2 3; do cat /dev/urandom | head -c 30000000 > /data/big; sync; done; echo done > /run/written"
status=0
sync_outcome slow || status=$?
[ $status -ne 0 ] || fail "the sync continued beyond its bound"
grep -q "overwrote more than scratch_limit" "$WORK/slow.log" || fail "the bound is not named: $(cat "$WORK/slow.log")"
run_in_guest shop "grep -q done /run/written && dmesg | grep -i 'i/o error' && touch /run/io-error; sync"
guest_agent shop guest-exec '{"path": "/bin/ls", "arg": ["/run/io-error"]}' > /dev/null
[ "$(guest_state shop)" = running ] || fail "the guest does not run"
expect_nothing_left shop 1
[ "$(muletto store points "$STORE" --output json | json length)" = "$before" ] || fail "a given up sync left a point"
agent_sync shop --quiet > "$WORK/result"
expect_read "" ""
pass
