#!/usr/bin/env bash
# timeout: 400
# The line that `muletto token create` prints makes a host without an agent a protected one: packages and script come
# from the appliance, over a pinned key. Another server's script does not run, not one that arrives in part, and no
# package that others could have changed. The host is this machine's files, seen through an overlay.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/package-lib.sh"

require_root
require_commands jq curl dpkg-deb apt-get unshare
require_programs mulettod muletto muletto-agent

make_packages "$WORK/made" 0.9.1-1 muletto-common muletto-agent muletto-restore
mkdir -m 755 "$WORK/shelf"
printf '[agents]\npackages_directory = "%s"\n' "$WORK/shelf" > "$WORK/mulettod.toml"
serve() { start_appliance "$@" --config "$WORK/mulettod.toml" --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"; }
serve
address=$(appliance_address)
get() { curl -fsSk "https://$address/packages/$1"; }

# ---- only what root put there, and nothing else, is served
[ -z "$(get list)" ] || fail "an empty folder has packages"
cp "$WORK"/made/muletto-{common,agent}_*.deb "$WORK/shelf/"
cp "$WORK"/made/muletto-restore_*.deb "$WORK/shelf/open_1.deb" && chmod 666 "$WORK/shelf/open_1.deb"
ln -s /etc/passwd "$WORK/shelf/link_1.deb"
echo x > "$WORK/shelf/.hidden_1.deb"
mkfifo "$WORK/shelf/pipe_1.deb"
[ "$(get list | wc -l)" -eq 2 ] || fail "served: $(get list)"
get list | (cd "$WORK/shelf" && sha256sum --quiet -c -)
agent=$(cd "$WORK/shelf" && echo muletto-agent_*.deb)
get "$agent" | cmp - "$WORK/shelf/$agent"
for name in open_1.deb link_1.deb .hidden_1.deb pipe_1.deb ..%2fmulettod.toml %2e%2e ../mulettod.toml; do
  [ "$(curl -sk --path-as-is -o /dev/null -w '%{http_code}' "https://$address/packages/$name")" = 404 ] \
    || fail "$name is served"
done

# ---- the line
muletto token create -o json > "$WORK/token.json"
jq -r .token.token "$WORK/token.json" > "$WORK/token"
line=$(jq -r .token.install "$WORK/token.json")
muletto token create | has -F 'curl -fsS --proto =https --insecure --pinnedpubkey sha256//'
[[ $line != *"$(< "$WORK/token")"* ]] || fail "the token is in the line"
[ "$(muletto token create --for operator -o json | json .token.install)" = null ]
# Debian's machine names need not resolve here.
line=${line//$(jq -r .token.address "$WORK/token.json")/$address}

# A host that does not answer with the pinned key: nothing of what it sends runs.
serve --name other
stranger=$(appliance_address other)
if bash -c "set -o pipefail; ${line//$address/$stranger}" > "$WORK/out" 2>&1; then fail "a stranger's script ran"; fi
has 'public key does not match' < "$WORK/out"
! has 'muletto:' < "$WORK/out" || fail "the script of a stranger began: $(< "$WORK/out")"
stop_background other
MULETTO_SOCKET=$(appliance_run)/api.sock
# In part: nothing happens.
curl -fsSk "https://$address/install" > "$WORK/script"
size=$(stat -c %s "$WORK/script")
for part in 500 $((size / 2)) $((size - 12)); do
  head -c "$part" "$WORK/script" | env -i PATH="$PATH" sh -s -- a b c > "$WORK/out" 2>&1 || true
  ! has 'muletto:' < "$WORK/out" || fail "a script of $part bytes did something: $(< "$WORK/out")"
done

# ---- a host
echo "$line --name newcomer --token-file /mnt/token" > "$WORK/line"
cat > "$WORK/inside" << 'SH'
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
fail() { echo "FAIL: $1" >&2; exit 1; }
! command -v muletto-agent || fail "there is an agent already"
# A package that was changed on the way does not get in: its sum is in the list of the pinned server.
bash -c "set -o pipefail; $(< /mnt/line)" > /tmp/out 2>&1 || fail "$(tail -n 5 /tmp/out)"
[ "$(command -v muletto-agent)" = /usr/bin/muletto-agent ]
grep -q "enrolled at" /tmp/out || fail "not enrolled: $(tail -n 5 /tmp/out)"
grep -q "The machines of this host" /tmp/out || fail "no machines: $(tail -n 5 /tmp/out)"
[ -s /var/lib/muletto-agent/enrollment.json ]
dpkg -s muletto-agent > /tmp/status
grep -q '^Status: install ok installed' /tmp/status
# Again: it says that the host is enrolled, and changes nothing.
before=$(sha256sum < /var/lib/muletto-agent/enrollment.json)
if bash -c "set -o pipefail; $(< /mnt/line)" > /tmp/out 2>&1; then fail "enrolled twice"; fi
grep -q "enrolled already" /tmp/out
[ "$before" = "$(sha256sum < /var/lib/muletto-agent/enrollment.json)" ]
SH
in_machine inside
muletto host list -o json | jq -e '.hosts | map(.name) | index("newcomer")' > /dev/null || fail "the appliance knows no newcomer"
