#!/usr/bin/env bash
# timeout: 600
# Test boots: a healthy guest passes, an empty disk and a panic fail with their reasons, a service that is demanded and
# dead fails, bisect finds the newest good point, and nothing is left, also when the daemon is killed.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh tesseract
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt

state=$WORK/state run=$WORK/run
export MULETTO_SOCKET=$run/api.sock
on_exit sh -c "virsh -c '$LIBVIRT_DEFAULT_URI' net-list --name | grep muletto- | xargs -rn1 virsh -c '$LIBVIRT_DEFAULT_URI' net-destroy"
on_exit sh -c "virsh -c '$LIBVIRT_DEFAULT_URI' list --name | grep muletto- | xargs -rn1 virsh -c '$LIBVIRT_DEFAULT_URI' destroy"

start_daemon() {
  start_background mulettod mulettod --state-dir "$state" --run-dir "$run" --listen 127.0.0.1:0
  wait_until 20 "mulettod is ready" test -s "$run/mulettod.json"
}
add_point() { muletto store import "$state/stores/default" --machine "$1" --disk "vda=$2" --format raw > /dev/null; }

"$SOURCE/tests/guests/build-guest" "$WORK/web.img" --hostname web --size 128
"$SOURCE/tests/guests/build-guest" "$WORK/panic.img" --hostname panic --size 128 --kernel-args "rdinit=/nowhere root=/dev/none"
truncate -s 64M "$WORK/empty.img"
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
add_point panic "$WORK/panic.img"
add_point web "$WORK/web.img"
add_point web "$WORK/empty.img"
start_daemon

newest=$(muletto point list -o json | json '[.points[] | select(.machine == "web")][0].id')
expect_failure 3 "" muletto verify start nobody@latest
expect_failure 2 "is no check" muletto verify checks web --set "ping:me"

# verdict SELECTOR EXPECTED   runs a test boot and compares what it says.
verdict() {
  local status=0
  muletto verify start "$1" -o json > "$WORK/seen.json" || status=$?
  [ "$(json .verification.verdict < "$WORK/seen.json")" = "$2" ] \
    || fail "$1: $(jq -c '.verification | {verdict, reasons, evidence}' < "$WORK/seen.json")"
  case $2 in pass) [ $status = 0 ] ;; fail) [ $status = 20 ] ;; *) [ $status = 21 ] ;; esac
}

verdict "$newest" pass
jq -e '.verification.recovery_ms > 1000 and (.verification.pictures | length) > 0' < "$WORK/seen.json" > /dev/null
mkdir "$WORK/pictures"
muletto verify show "$(json .verification.number < "$WORK/seen.json")" --pictures "$WORK/pictures" > /dev/null
[ "$(file -b --mime-type "$WORK/pictures/1.png")" = image/png ] || fail "no picture"
verdict web@latest fail
jq -e '.verification.reasons[0] | test("nothing to boot")' < "$WORK/seen.json" > /dev/null || fail "the wrong reason"
verdict panic@latest fail
jq -e '.verification.reasons[0] | test("panic")' < "$WORK/seen.json" > /dev/null || fail "the wrong reason"

# A service that is demanded and dead.
muletto verify checks web --set tcp:4444 > /dev/null
verdict "$newest" fail
jq -e '.verification.reasons[0] | test("tcp:4444")' < "$WORK/seen.json" > /dev/null || fail "the wrong reason"
muletto verify checks web --clear > /dev/null

[ "$(muletto verify bisect web -o json | json .point)" = "$newest" ] || fail "bisect found another point"
muletto verify list --machine web | grep -q "Proved recovery time"

# Killed in the middle: the next daemon leaves nothing of it.
curl -sf --unix-socket "$MULETTO_SOCKET" -X POST -d "{\"point\": \"$newest\"}" http://localhost/api/v1/verifications > /dev/null
_runs() { virsh list --name | grep -q muletto-web; }
wait_until 20 "the test boot runs" _runs
stop_background mulettod KILL
rm "$run/mulettod.json"
start_daemon
_gone() {
  ! virsh list --name | grep -q muletto- && ! virsh net-list --name | grep -q muletto-test &&
    [ -z "$(find "$state/verify" -name 'overlay*' -o -name '*.qcow2')" ]
}
wait_until 20 "the test boot is cleaned away, its overlay too" _gone
[ -z "$(pgrep -f "nbdkit .*-U $run/" || true)" ] || fail "an export is left"
