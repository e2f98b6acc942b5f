#!/usr/bin/env bash
# timeout: 600
# The page, in a real browser on a real appliance: sign in, alerts, search, a file's bytes, disaster up to a guest that is
# typed to, a restart of the daemon, every page in five languages on desktop and phone, checked by axe-core.
. "$(dirname "$0")/lib.sh"

require_root
require_commands convert node npm faketime mke2fs jq chromium nbdkit virsh qemu-img
require_programs mulettod muletto nbdkit-muletto-plugin.so
[ -e "$MULETTO_BUILD/share/muletto/page/index.html" ] || skip "the page is not built (npm is missing, or MULETTO_PAGE is off)"
ensure_libvirt

# What drives the browser is fetched once for a build.
tools=$MULETTO_BUILD/page-tests
mkdir -p "$tools"
cp "$SOURCE"/tests/page/* "$SOURCE"/tests/page/.npmrc "$tools/" 2> /dev/null || true
(cd "$tools" && flock . npm ci --no-progress --loglevel=error > /dev/null)

state=$WORK/state
"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web
"$SOURCE/tests/page/seed" "$state" "$WORK/web.img"
truncate -s 1M "$WORK/giant.img"
muletto store import "$state/stores/default" --machine giant --disk "vda=$WORK/giant.img" --format raw --memory 4T > /dev/null
start_appliance
muletto tenant adopt default > /dev/null
stop_background mulettod
"$SOURCE/tests/page/draw-screens" "$WORK/pictures"
"$SOURCE/tests/page/seed-catalog" "$state" --pictures "$WORK/pictures"
start_appliance
has_alert() { muletto alert list | has verification-failed; }
wait_until 30 "the alert is there" has_alert

token=$(muletto token create --for operator -o json | json .token.token)
start_background walk node "$tools/walk.mjs" "https://$(appliance_address)/" "$token" "$WORK"
wait_until 420 "the walk comes to the restart" sh -c "test -e '$WORK/stop' || ! kill -0 $(background_pid walk)"
if [ -e "$WORK/stop" ]; then
  stop_background mulettod
  sleep 4
  muletto store import "$state/stores/default" --machine late-comer --disk "vda=$WORK/giant.img" --format raw > /dev/null
  start_appliance
  touch "$WORK/started"
fi
status=0
wait "$(background_pid walk)" || status=$?
cat "$WORK/walk.log"
[ $status -eq 0 ] || fail "the walk through the page failed"
pass
