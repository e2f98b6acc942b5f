#!/usr/bin/env bash
# timeout: 240
# Live events by WebSocket: the same objects as in the stream, nothing missed after a reconnect, each operator's own
# tenant, revoked tokens and clients that do not read are cut off.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl openssl python3
require_programs mulettod muletto muletto-agent
ensure_libvirt

cat > "$WORK/follow.py" <<'PY'
"""A WebSocket client by hand: follow.py HOST:PORT PATH TOKEN OUT [stall]. Prints each message as a line."""
import base64, os, socket, ssl, struct, sys, time

address, path, token, out_path = sys.argv[1:5]
stalls = len(sys.argv) > 5
host, port = address.rsplit(":", 1)
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
raw = socket.create_connection((host, int(port)))
if stalls:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
link = context.wrap_socket(raw)
key = base64.b64encode(os.urandom(16)).decode()
link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
data = b""


def more():
    global data
    piece = link.recv(65536)
    if not piece:
        print("ended", file=sys.stderr)
        sys.exit(3)
    data += piece


def take(count):
    global data
    while len(data) < count:
        more()
    piece, data = data[:count], data[count:]
    return piece


def send(opcode, payload):
    mask = os.urandom(4)
    link.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask
                 + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))


while b"\r\n\r\n" not in data:
    more()
head, data = data.split(b"\r\n\r\n", 1)
status = head.split()[1].decode()
out = open(out_path, "a", buffering=1)
if status != "101":
    print(status, data.decode(errors="replace"), file=sys.stderr)
    sys.exit(4)
if stalls:
    time.sleep(600)
while True:
    first, length = take(2)
    if length == 126:
        length = struct.unpack(">H", take(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", take(8))[0]
    payload = take(length)
    opcode = first & 15
    if opcode == 1:
        out.write(payload.decode() + "\n")
    elif opcode == 9:
        print("ping", file=sys.stderr, flush=True)
        send(10, payload)
    elif opcode == 8:
        print("closed", struct.unpack(">H", payload[:2])[0], payload[2:].decode(), file=sys.stderr)
        sys.exit(5)
PY

truncate -s 8M "$WORK/web.raw"
start_appliance
muletto tenant create bakery > /dev/null
token() { muletto token create --for operator ${1:+--tenant "$1"} --expires never -o json > "$WORK/$2.json"; json .token.token < "$WORK/$2.json"; }
all_token=$(token "" all)
bakery_token=$(token bakery bakery)
short_token=$(token "" short)
ws=/api/v1/events/ws
follow() {  # follow NAME TOKEN [QUERY]
  start_background "$1" python3 "$WORK/follow.py" "$(appliance_address)" "$ws${3:-}" "$2" "$WORK/$1.seen"
}
seen() { jq -es "any(.[]; $2)" "$WORK/$1.seen"; }

# ---- the same as the stream, and each operator's own
start_background stream muletto events --follow -o json
follow all "$all_token"
follow bakery "$bakery_token"
follow short "$short_token"
wait_until 20 "it begins" seen all '.event == "begin"'
wait_until 20 "it begins" seen bakery '.event == "begin"'
wait_until 20 "it begins" seen short '.event == "begin"'
write_agent_config agent "web=$WORK/web.raw"
enroll_agent hv1 --config "$WORK/agent.toml"
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 30 "the agent reports" bash -c 'muletto machine list -o json | jq -e ".machines[] | select(.name == \"web\")"'
muletto sync start web > /dev/null
for event in '.event == "job-ended" and .kind == "sync" and .state == "succeeded"' '.event == "point-arrived"' \
  '.event == "alert-opened"'; do
  wait_until 30 "$event" seen all "$event"
done
begin=$(jq -s '.[0].sequence' "$WORK/all.seen")
own() { jq -cs --argjson begin "$begin" '[.[] | select(.sequence > $begin) | select(.event | test("^(begin|alive)$") | not) | {sequence, event, subject, id}] | sort_by(.sequence)' "$1"; }
same() { [ "$(own "$WORK/all.seen")" = "$(own <(grep '^{' "$WORK/stream.log"))" ]; }
wait_until 20 "both have the same" same
! grep -q '"default"' "$WORK/bakery.seen" || fail "another tenant's events are shown: $(cat "$WORK/bakery.seen")"

# ---- after a reconnect nothing is missing, and nothing comes twice
place=$(jq -s 'map(.sequence) | max' "$WORK/all.seen")
stop_background all
muletto sync start web > /dev/null
wait_until 30 "the stream has it" bash -c "grep '^{' '$WORK/stream.log' | jq -es 'map(select(.event == \"point-arrived\")) | length == 2'"
follow again "$all_token" "?after=$place"
wait_until 20 "what was missed" seen again '.event == "point-arrived"'
jq -es "map(select(.event != \"begin\")) | all(.sequence > $place)" "$WORK/again.seen" > /dev/null || fail "an event came twice"
status=0
python3 "$WORK/follow.py" "$(appliance_address)" "$ws?after=5" "$all_token" "$WORK/lost.seen" 2> "$WORK/lost.err" || status=$?
[ $status = 4 ] && grep -q '^404 .*no longer known' "$WORK/lost.err" || fail "a place that is not known: $(cat "$WORK/lost.err")"
# ---- who may not, and what is no WebSocket
status=0
python3 "$WORK/follow.py" "$(appliance_address)" "$ws?tenant=default" "$bakery_token" "$WORK/no.seen" 2> "$WORK/no.err" || status=$?
[ $status = 4 ] && grep -q ^403 "$WORK/no.err" || fail "another tenant's: $(cat "$WORK/no.err")"
curl -sk -o /dev/null -w '%{http_code}' "https://$(appliance_address)$ws" | has -x 401 || fail "a stranger"
curl -sk -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $all_token" "https://$(appliance_address)$ws" | has -x 426 \
  || fail "no upgrade was asked for"

# ---- pinged; a revoked token ends it with a reason; a client that stalls holds nobody up
wait_until 40 "a ping" grep -q ping "$WORK/again.log"
start_background stalled python3 "$WORK/follow.py" "$(appliance_address)" "$ws" "$all_token" "$WORK/stalled.seen" stall
background_alive short || fail "it has ended too early"
muletto token revoke "$(json .token.id < "$WORK/short.json")" > /dev/null
gone() { ! background_alive "$1"; }
wait_until 40 "a revoked token's WebSocket ends" gone short
grep -q 'closed 1008 its credentials no longer count' "$WORK/short.log" || fail "without a reason: $(cat "$WORK/short.log")"
muletto status > /dev/null
background_alive again || fail "the other has ended"
before=$SECONDS
stop_background mulettod
[ $((SECONDS - before)) -lt 10 ] || fail "the daemon waited for a WebSocket"
wait_until 10 "it ends with the daemon" gone again
