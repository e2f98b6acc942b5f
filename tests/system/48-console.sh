#!/usr/bin/env bash
# timeout: 300
# The console in the API: a VM's screen over a WebSocket, through the socket and by a ticket over TLS; what is typed
# arrives in the guest; many clients at once, one that reads nothing; the end of the VM closes it. The serial log.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh python3
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt

state=$WORK/state run=$WORK/run
client() { "$SOURCE/tests/tools/vnc-client" "$@"; }

"$SOURCE/tests/guests/build-guest" "$WORK/desk.img" --hostname desk
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
muletto store import "$state/stores/default" --machine desk --disk "vda=$WORK/desk.img" --format raw
start_appliance
muletto tenant adopt default > /dev/null
address=127.0.0.1:$(json .port < "$run/mulettod.json")
boot=$(muletto boot start desk@latest --memory 256M --cpus 1 --network none -o json | json .boot.id)
socket=/api/v1/boots/$boot/console/ws

echo "a screen is seen, and what is typed arrives"
start_background follow muletto boot serial "$boot" --follow
wait_until 120 "the guest is up" grep -q READY "$WORK/follow.log"
client --socket "$run/api.sock" "$socket" --shot "$WORK/screen.ppm" > "$WORK/seen"
[ "$(json '.bright > 100' < "$WORK/seen")" = true ] || fail "the screen is dark: $(cat "$WORK/seen")"
client --socket "$run/api.sock" "$socket" --type 'root\n' > /dev/null
client --socket "$run/api.sock" "$socket" --type 'echo typed by hand > /dev/ttyS0\n' > /dev/null
wait_until 30 "the keys arrive in the guest" grep -q "typed by hand" "$WORK/follow.log"

echo "tickets: once, and for this VM only"
muletto boot console "$boot" | has "https://.*/console/$boot#ticket=[0-9a-f]*&machine="
ticket() { muletto boot console "$boot" -o json | json .ticket.ticket; }
one=$(ticket)
client --tls "$address" "$socket?ticket=$one" > "$WORK/seen"
[ "$(json .name < "$WORK/seen")" != null ] || fail "no screen by ticket"
refused() {
  local status=0
  client --tls "$address" "$1" > "$WORK/refusal" || status=$?
  [ $status -eq 4 ] && grep -q "$2" "$WORK/refusal" || fail "not refused with $2: $(cat "$WORK/refusal")"
}
refused "$socket?ticket=$one" 403
refused "$socket" 401
refused "/api/v1/boots/ffffffffffffffff/console/ws?ticket=$(ticket)" 403
[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$run/api.sock" "http://x$socket")" = 426 ]
[ "$(curl -sk -o /dev/null -w '%{http_code}' -X POST "https://$address/api/v1/boots/$boot/console/ticket")" = 401 ]

echo "the page and noVNC"
curl -skf "https://$address/console/$boot" | has /assets/console.js
curl -skf "https://$address/assets/console.js" | has /novnc/core/rfb.js
for bad in novnc/../../etc/passwd novnc/%2e%2e/%2e%2e/etc/passwd novnc/core/..%2f..%2f..%2fetc/passwd; do
  [ "$(curl -sk --path-as-is -o /dev/null -w '%{http_code}' "https://$address/$bad")" != 200 ] || fail "$bad was served"
done
if [ -d /usr/share/novnc ]; then
  curl -skf -o "$WORK/rfb.js" -D "$WORK/headers" "https://$address/novnc/core/rfb.js"
  cmp "$WORK/rfb.js" /usr/share/novnc/core/rfb.js
  grep -qi "content-type: text/javascript" "$WORK/headers"
fi

echo "a crowd at the same moment: QEMU itself lets two of them wait and loses the others"
for round in {1..4}; do
  client --socket "$run/api.sock" "$socket" --crowd 13
done

echo "many clients at once, and one that does not read"
before=$(awk '/VmRSS/ {print $2}' "/proc/$(background_pid mulettod)/status")
start_background mute "$SOURCE/tests/tools/vnc-client" --socket "$run/api.sock" "$socket" --mute 60
for number in {1..12}; do
  start_background "viewer$number" "$SOURCE/tests/tools/vnc-client" --socket "$run/api.sock" "$socket" --until-closed
done
for number in {1..12}; do
  wait_until 60 "viewer $number sees the screen" grep -q watching "$WORK/viewer$number.log"
done
wait_until 60 "the mute one has its screen" grep -q bright "$WORK/mute.log"
grown=$(($(awk '/VmRSS/ {print $2}' "/proc/$(background_pid mulettod)/status") - before))
echo "  13 consoles took $grown KiB"
[ "$grown" -lt 20000 ] || fail "13 consoles took $grown KiB"

echo "the end of the VM closes them"
muletto boot stop "$boot" --keep > /dev/null
for number in {1..12}; do
  wait_until 20 "viewer $number ends" grep -q close_code "$WORK/viewer$number.log"
  grep -q '"close_code": 1001' "$WORK/viewer$number.log" || fail "viewer $number: $(cat "$WORK/viewer$number.log")"
done
stop_background mute KILL
wait_until 20 "the serial log's follower ends" sh -c "! kill -0 $(background_pid follow) 2> /dev/null"
expect_failure 4 "is not running" muletto boot console "$boot"
muletto boot stop "$boot" --discard --yes > /dev/null
[ "$(muletto status -o json | json .status.version)" != "" ] || fail "the daemon is gone"
pass
