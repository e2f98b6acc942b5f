#!/usr/bin/env bash
# timeout: 600
# The Debian packages: they are made from the build, byte for byte the same each time, lintian finds no error, and
# dpkg installs, upgrades, removes and purges them on this machine's own Debian, seen through an overlay that is
# thrown away. Settings, data and stores survive what they must; a purge destroys only what it was told to.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/package-lib.sh"

require_root
require_commands cmake dpkg-deb dpkg-shlibdeps lintian jq unshare deb-systemd-helper
require_programs mulettod muletto muletto-agent muletto-restore

# ---- made, and two of them twice: the same bytes
export SOURCE_DATE_EPOCH=1790000000
make_packages "$WORK/new" 0.9.1-1
[ "$(wc -l < "$WORK/list")" -eq 6 ] || fail "packages: $(< "$WORK/list")"
expect_failure 2 "there is no package" "$SOURCE/scripts/build-packages" --build "$MULETTO_BUILD" --output "$WORK/x" nothing
make_packages "$WORK/again" 0.9.1-1 muletto-common muletto-nbdkit-plugin
for package in "$WORK"/again/*.deb; do
  cmp "$package" "$WORK/new/${package##*/}" || fail "not reproducible"
done
[ "$(find "$WORK/again" -name '*.deb' | wc -l)" -eq 2 ]
rm -r "$WORK/again"
expect_failure 2 "no version of a package" "$SOURCE/scripts/build-packages" --build "$MULETTO_BUILD" --version "a b"
expect_failure 1 "no build folder" "$SOURCE/scripts/build-packages" --build "$WORK"

lintian --allow-root --fail-on error --tag-display-limit 0 "$WORK"/new/*.deb > "$WORK/lintian.log" \
  || fail "lintian: $(grep '^E:' "$WORK/lintian.log")"

# ---- what is in them
contents() { dpkg-deb --contents "$WORK/new/$1"_*.deb; }
contents muletto-appliance | has 'usr/lib/systemd/system/mulettod.service$'
contents muletto-appliance | has 'etc/muletto/mulettod.toml$'
contents muletto | has 'man1/muletto-boot.1.gz$'
contents muletto | has 'man1/muletto-restore-commands.1.gz$'
contents muletto-restore | has 'man1/muletto-restore.1.gz$'
contents muletto-agent | has 'bash-completion/completions/muletto-agent$'
[ "$(dpkg-deb --ctrl-tarfile "$WORK"/new/muletto-agent_*.deb | tar -xO ./conffiles)" = /etc/muletto/agent.toml ]
contents muletto-appliance | has 'usr/share/muletto/packages/muletto-agent_0.9.1-1_.*deb$'
dpkg-deb -f "$WORK"/new/muletto-appliance_*.deb Depends | has 'libsqlite3-0.*'

# The version before: the same with another number.
renumber_packages "$WORK/new" "$WORK/old" 0.9.1-1 0.9.0-1

cat > "$WORK/inside" << 'SH'
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root
unset MULETTO_SOCKET MULETTO_PLUGIN MULETTO_SANDBOX LIBVIRT_DEFAULT_URI
fail() { echo "FAIL: $1" >&2; exit 1; }
has() { [ "$(grep -c "$@")" -gt 0 ]; }
names=(muletto-appliance muletto-agent muletto-restore muletto-nbdkit-plugin muletto muletto-common)
enabled() { [ -L "/etc/systemd/system/multi-user.target.wants/$1" ]; }

start() {
  mulettod --listen 127.0.0.1:0 --libvirt-uri "qemu:///system?socket=/run/no-libvirt" > /tmp/log 2>&1 &
  daemon=$!
  for _ in {1..300}; do
    [ "$(jq .pid /run/muletto/mulettod.json 2> /dev/null || true)" != "$daemon" ] || return 0
    kill -0 "$daemon" || fail "mulettod: $(tail -n 3 /tmp/log)"
    sleep 0.1
  done
  fail "mulettod is not ready: $(tail -n 3 /tmp/log)"
}
stop() { kill "$daemon" && wait "$daemon" || true; }

# Installed: nothing is started or enabled, and a sentence says what comes next.
dpkg -i /mnt/old/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
has 'muletto-appliance: installed, and not started yet' < /tmp/out || fail "no word about the first start"
has "systemctl enable --now muletto-agent" < /tmp/out
! enabled mulettod.service && ! enabled muletto-agent.service || fail "something is enabled"
[ ! -e /var/lib/muletto ] || fail "the installation made a state folder"
man -w muletto-boot muletto-restore mulettod > /dev/null
[ "$(command -v muletto)" = /usr/bin/muletto ]
dpkg --verify "${names[@]}" || fail "files differ from their packages"

# It works from there.
start
muletto status > /dev/null
muletto policy set nightly --schedule "every 1d" > /dev/null
muletto token create --note kept > /dev/null
stop
head -c 3M /dev/urandom > /tmp/disk.raw
muletto store import /var/lib/muletto/stores/default --machine web --disk vda=/tmp/disk.raw > /dev/null
systemctl enable mulettod > /dev/null 2>&1

# Upgraded: an operator's settings stay, what was enabled stays so, data is there.
echo 'log_level = "warn"' > /etc/muletto/mulettod.toml
dpkg -i --force-confold /mnt/new/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
! has 'not started yet. Say' < /tmp/out || fail "an upgrade speaks as a first installation"
[ "$(< /etc/muletto/mulettod.toml)" = 'log_level = "warn"' ] || fail "settings were replaced"
enabled mulettod.service || fail "the upgrade disabled the unit"
start
muletto policy list | has nightly
muletto point list | has web
stop
# Scripts may run again at any time.
for script in /var/lib/dpkg/info/muletto-*.postinst; do DPKG_MAINTSCRIPT_PACKAGE=muletto "$script" configure 0.9.1-1; done
# Going back to the version before.
dpkg -i --force-confold /mnt/old/*.deb > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
start && stop
dpkg -i --force-confold /mnt/new/*.deb > /tmp/out 2>&1

# Removed: data and settings stay.
dpkg -r "${names[@]}" > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
[ ! -e /usr/bin/mulettod ] && [ -e /etc/muletto/mulettod.toml ] && [ -e /var/lib/muletto/catalog.sqlite ]
[ "$(< /var/lib/muletto-packages/state-directory)" = /var/lib/muletto ]

# Purged: it says what there is, and keeps it.
dpkg -P "${names[@]}" > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
has '/var/lib/muletto/pki .*: the keys that every host is enrolled with' < /tmp/out || fail "$(< /tmp/out)"
has 'stores in /var/lib/muletto/stores .* are kept always' < /tmp/out
[ -e /var/lib/muletto/catalog.sqlite ] && [ ! -e /etc/muletto ] || fail "the purge took data, or left settings"

# Told to destroy another folder, it keeps this one; told to destroy this one, it still keeps the stores.
purge_with() {
  dpkg -i /mnt/new/*.deb > /dev/null 2>&1
  "$@"
  dpkg -P "${names[@]}" > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
}
order() { echo "$1" > /etc/muletto/destroy-on-purge; }
purge_with order /var/lib
[ -e /var/lib/muletto/catalog.sqlite ] && [ -e /var/lib/dpkg/status ] || fail "a purge followed a wrong order"
purge_with order /var/lib/muletto
has 'destroyed, as /etc/muletto/destroy-on-purge says' < /tmp/out
[ "$(ls /var/lib/muletto)" = stores ] || fail "left: $(ls -A /var/lib/muletto)"
[ -s /var/lib/muletto/stores/default/store ] || fail "a purge destroyed a store"
[ ! -e /etc/muletto ] && [ ! -e /var/lib/muletto-packages ] || fail "something of the packages is left"
SH
in_machine inside
