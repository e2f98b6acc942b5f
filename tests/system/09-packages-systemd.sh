#!/usr/bin/env bash
# timeout: 500
# A Debian 12 with systemd lives through the packages: installation, the first sync of an agent, an instant VM, the
# upgrade with the VM running, a daemon that is killed, a failed upgrade that is rolled back, removal and purge. The
# machine is a container of systemd-nspawn with this machine's files, seen through an overlay. Only with MULETTO_LONG=1.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/package-lib.sh"

[ "${MULETTO_LONG:-}" = 1 ] || skip "takes several minutes: MULETTO_LONG=1 runs it"
require_root
require_commands systemd-nspawn dpkg-deb jq unshare
require_programs mulettod muletto muletto-agent muletto-restore

# ---- the packages of this version, of the one before, and one whose daemon does not start
make_packages "$WORK/new" 0.9.1-1
renumber_packages "$WORK/new" "$WORK/old" 0.9.1-1 0.9.0-1
mkdir "$WORK/only"
cp "$WORK"/new/muletto-appliance_*.deb "$WORK/only/"
alter_package() {
  sed -i -e 's/^Version: .*/Version: 0.9.2-1/' "$WORK/unpacked/DEBIAN/control"
  printf '#!/bin/sh\necho "this version is broken" >&2\nexit 1\n' > "$WORK/unpacked/usr/bin/mulettod"
}
renumber_packages "$WORK/only" "$WORK/bad" no-number no-number

cat > "$WORK/script" << 'SH'
set -Eeuo pipefail
export LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive
begun=$EPOCHSECONDS
say() { echo "TEST $((EPOCHSECONDS - begun)) s: $1"; }
fail() { say "FAIL: $1"; exit 1; }
trap 'say "FAIL: $BASH_COMMAND (line $LINENO)"; journalctl -u mulettod -n 15 --no-pager -o cat' ERR
has() { [ "$(grep -c "$@")" -gt 0 ]; }

dpkg -i /mnt/old/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
! systemctl is-active mulettod > /dev/null && ! systemctl is-enabled mulettod > /dev/null 2>&1 || fail "it was started"
say "installed"
systemctl enable --now mulettod
systemctl is-active mulettod
muletto status > /dev/null
for unit in mulettod muletto-agent; do
  say "exposure $(systemd-analyze security --no-pager "$unit.service" 2> /dev/null | grep -i 'overall exposure')"
done
muletto doctor > /tmp/doctor || true
! has '^fail' < /tmp/doctor || fail "doctor: $(grep -A1 '^fail' /tmp/doctor)"

# A host: this machine, with a machine that is an image.
head -c 4M /dev/urandom > /srv/web.raw
printf 'libvirt_uri = ""\n[machines.web]\nimages = { vda = "/srv/web.raw" }\nimage_format = "raw"\n' > /etc/muletto/agent.toml
muletto token create -o json > /tmp/token
jq -r .token.token /tmp/token | muletto-agent enroll localhost:7443 --fingerprint "$(jq -r .token.fingerprint /tmp/token)"
systemctl enable --now muletto-agent
muletto-agent sync web
say "first sync"

# An instant VM, as small as one can be: what matters is that it goes on.
muletto boot start web@latest --network none --memory 64M > /tmp/out 2>&1 || fail "$(tail -n 3 /tmp/out)"
vm=$(pgrep -o -f "qemu-system-x86_64.*guest=muletto-") export=$(pgrep -o -x nbdkit)
[ -n "$vm" ] && [ -n "$export" ]
goes_on() {
  [ -d "/proc/$vm" ] && [ -d "/proc/$export" ] || fail "the VM or its export ended: $1"
  muletto boot list -o json | jq -e '.boots[0].state == "running"' > /dev/null || fail "the VM is not known after: $1"
}
goes_on start
say "an instant VM"

dpkg -i --force-confold /mnt/new/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
systemctl is-active mulettod && systemctl is-active muletto-agent
goes_on upgrade
muletto-agent sync web
say "upgraded with the VM running"

if dpkg -i /mnt/bad/*.deb > /tmp/out 2>&1; then fail "a broken version counts as installed"; fi
has 'the new mulettod does not start' < /tmp/out || fail "no word: $(tail -n 4 /tmp/out)"
[ -d "/proc/$vm" ] && [ -d "/proc/$export" ] || fail "a broken upgrade ended the VM"
dpkg -i --force-downgrade /mnt/new/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
systemctl is-active mulettod || systemctl start mulettod
goes_on "rolled back"
say "a broken upgrade was rolled back"

systemctl kill -s KILL mulettod
for _ in {1..60}; do muletto status > /dev/null 2>&1 && break; sleep 1; done
goes_on kill
systemctl restart mulettod
goes_on restart
say "killed and restarted"

systemctl stop mulettod muletto-agent
[ -d "/proc/$vm" ] && [ -d "/proc/$export" ] || fail "stopping the daemon ended the VM"
systemctl start mulettod
muletto boot stop "$(muletto boot list -o json | jq -r '.boots[0].id')" > /dev/null
dpkg -r muletto-appliance muletto-agent > /tmp/out 2>&1
[ -e /var/lib/muletto/catalog.sqlite ] && [ -e /etc/muletto/mulettod.toml ] && ! systemctl is-active mulettod
dpkg -P muletto-appliance muletto-agent > /tmp/out 2>&1
has 'are kept always' < /tmp/out
[ -e /var/lib/muletto/stores/default/store ] && [ ! -e /etc/muletto ]
say "PASS"
SH

cat > "$WORK/boot" << 'SH'
set -eu
rm -f "$WORK/root/etc/machine-id" "$WORK/root/etc/fstab"
cat > "$WORK/root/etc/systemd/system/muletto-test.service" << 'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'bash /mnt/script > /mnt/result 2>&1'
ExecStopPost=/bin/systemctl --no-block poweroff --force
UNIT
cat > "$WORK/root/etc/systemd/system/muletto-test.target" << 'UNIT'
[Unit]
Requires=basic.target muletto-test.service
AllowIsolate=yes
UNIT
# The network of its own has nothing but lo.
exec systemd-nspawn --quiet --register=no --keep-unit --directory="$WORK/root" --bind="$WORK:/mnt" --capability=all \
  --private-network --console=pipe /lib/systemd/systemd systemd.unit=muletto-test.target systemd.log_target=journal
SH
in_overlay timeout 450 bash "$WORK/boot" < /dev/null > "$WORK/systemd.log" 2>&1 || true
[ -e "$WORK/result" ] || skip "systemd does not start in a container here: $(tail -n 1 "$WORK/systemd.log")"
grep -a TEST "$WORK/result" || true
grep -q '^TEST.*: PASS' "$WORK/result" || fail "$(grep -A 20 FAIL "$WORK/result" || tail -n 15 "$WORK/result")"
