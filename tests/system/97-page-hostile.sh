#!/usr/bin/env bash
# timeout: 240
# The page under attack: names with markup stay text, no script but its own runs, nothing is framed, no path leaves the
# page's folder, and its files are served as they should be.
. "$(dirname "$0")/lib.sh"

require_root
require_commands node npm faketime mke2fs jq chromium curl
require_programs mulettod muletto muletto-agent
[ -e "$MULETTO_BUILD/share/muletto/page/index.html" ] || skip "the page is not built (npm is missing, or MULETTO_PAGE is off)"

tools=$MULETTO_BUILD/page-tests
mkdir -p "$tools"
cp "$SOURCE"/tests/page/* "$SOURCE"/tests/page/.npmrc "$tools/" 2> /dev/null || true
(cd "$tools" && flock . npm ci --no-progress --loglevel=error > /dev/null)

machine='<img src=x onerror=alert(1)>'
mkdir -p "$WORK/files" "$WORK/state/stores"
echo one > "$WORK/files/<b>bold<\\b>.txt"
echo two > "$WORK/files/\"><script>alert(1)<\\script>.txt"
echo '<script>alert(document.domain)</script>' > "$WORK/files/evil.html"
truncate -s 16M "$WORK/disk.img"
mke2fs -q -t ext4 -d "$WORK/files" "$WORK/disk.img"
store=$WORK/state/stores/default
muletto store init "$store"
for name in "$machine" 'javascript:alert(1)' "'\"><script>alert(2)</script>"; do
  LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=-2d muletto store import "$store" --machine "$name" --disk "vda=$WORK/disk.img" --format raw
done
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
muletto tenant adopt default > /dev/null
write_agent_config agent "web=$WORK/disk.img"
enroll_agent '<svg onload=alert(3)>' --config "$WORK/agent.toml"
muletto machine protect "$machine" > /dev/null
base=https://$(appliance_address)/

echo "headers"
curl -sk -D "$WORK/headers" -o "$WORK/index.html" "$base"
for header in "content-security-policy: default-src 'none'" "frame-ancestors 'none'" "require-trusted-types-for 'script'" \
  "x-content-type-options: nosniff" "referrer-policy: no-referrer" "cross-origin-opener-policy: same-origin" \
  "cross-origin-resource-policy: same-origin" "cache-control: no-store"; do
  grep -qi "$header" "$WORK/headers" || fail "no '$header' on the page"
done
! grep -qi unsafe "$WORK/headers" || fail "the policy allows something unsafe"
script=$(grep -o '/page/main-[^"]*\.js' "$WORK/index.html")
curl -skf -D "$WORK/headers" -o "$WORK/plain.js" "$base${script#/}"
grep -qi "immutable" "$WORK/headers" || fail "the script may not be kept"
curl -skf -H "Accept-Encoding: gzip" -D "$WORK/headers" -o "$WORK/packed.js" "$base${script#/}"
grep -qi "content-encoding: gzip" "$WORK/headers" || fail "the script is not compressed"
gzip -dc "$WORK/packed.js" | cmp - "$WORK/plain.js"

echo "no way out of its folder"
for bad in page/../../etc/passwd page/%2e%2e/%2e%2e/etc/passwd page/..%2f..%2fbin%2fmulettod page/%2fetc%2fpasswd page/index.html \
  page/.npmrc page/ page/main.js%00 'page/main-*.js' page/../api/v1/status; do
  status=$(curl -sk --path-as-is -o "$WORK/answer" -w '%{http_code}' "$base$bad")
  [ "$status" -ge 400 ] || fail "$bad gives $status"
done

echo "names with markup, and what a script would do"
has_alert() { muletto alert list | has -F "$machine"; }
wait_until 60 "an alert about the machine" has_alert
token=$(muletto token create --for operator -o json | json .token.token)
point=$(muletto point list --machine "$machine" -o json | json '.points[0].id')
node "$tools/hostile.mjs" "$base" "$token" "$point" || fail "the page does not stand it"

echo "an appliance without the page says so"
printf '[page]\nfolder = "%s"\n' "$WORK/nowhere" > "$WORK/mulettod.toml"
stop_background mulettod
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt" --config "$WORK/mulettod.toml"
[ "$(curl -sk -o "$WORK/answer" -w '%{http_code}' "$base")" = 404 ] || fail "no 404 without the page"
grep -q "not installed" "$WORK/answer" || fail "nothing says that the page is not installed"
pass
