#!/usr/bin/env bash
# timeout: 300
# Live events: what happens is followed as it happens, by each operator what he may see; a token that is revoked ends
# its stream; clients that do not read, and the daemon's own end, hold nobody up.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt

truncate -s 8M "$WORK/web.raw"
printf 'something' | dd of="$WORK/web.raw" conv=notrunc status=none
start_appliance
write_agent_config agent "web=$WORK/web.raw"
enroll_agent hv1 --config "$WORK/agent.toml"
muletto tenant create bakery > /dev/null
token() { muletto token create --for operator --tenant "$1" --expires never -o json; }
token bakery > "$WORK/bakery.json"
json .token.token < "$WORK/bakery.json" > "$WORK/bakery.token"

# seen FILE FILTER   whether a line of the stream satisfies the filter.
seen() { jq -es "any(.[]; $2)" "$WORK/$1.log" > /dev/null; }

# ---- followed by root, by an operator of another tenant, and by one that never reads
start_background all muletto events --follow -o json
start_background plain muletto events --follow
start_background other curl -sSNk -H "Authorization: Bearer $(< "$WORK/bakery.token")" \
  "https://$(appliance_address)/api/v1/events/stream"
start_background stalled curl -sSN --limit-rate 1 --unix-socket "$MULETTO_SOCKET" http://muletto/api/v1/events/stream
kill -STOP "$(background_pid stalled)"
wait_until 10 "the stream begins" seen all '.event == "begin"'
wait_until 10 "the other stream begins" seen other '.event == "begin"'
place=$(jq -s '.[0].sequence' "$WORK/all.log")

# ---- jobs, points, alerts
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 30 "the agent reports" bash -c 'muletto machine list -o json | jq -e ".machines[] | select(.name == \"web\")"'
muletto sync start web > /dev/null
for event in '.event == "job-begun" and .kind == "sync" and .subject == "web"' \
  '.event == "job-ended" and .kind == "sync" and .state == "succeeded"' \
  '.event == "point-arrived" and .subject == "web"' \
  '.event == "alert-opened" and .tenant == "default"'; do
  wait_until 30 "$event" seen all "$event"
done
point=$(muletto point show web@latest -o json | json .point.id)
seen all ".event == \"point-arrived\" and .id == \"$point\"" || fail "another point has arrived"
grep -qE 'point-arrived +web' "$WORK/plain.log" || fail "nothing is printed for people: $(cat "$WORK/plain.log")"

# ---- instant VMs: one that is started, and one whose QEMU is killed
muletto boot start web@latest --network none --memory 64M > /dev/null
boot=$(muletto boot list -o json | json '.boots[0].id')
wait_until 30 "the VM runs" seen all ".event == \"boot-begun\" and .id == \"$boot\""
muletto boot stop "$boot" --discard --yes > /dev/null
wait_until 30 "the VM has ended" seen all ".event == \"boot-ended\" and .id == \"$boot\""

# ---- what was missed is read from a place; a place that is not known any more is refused
curl -sN --max-time 2 --unix-socket "$MULETTO_SOCKET" "http://muletto/api/v1/events/stream?after=$place" \
  > "$WORK/again.log" || true
seen again ".event == \"point-arrived\" and .id == \"$point\"" || fail "the place does not lead to what came after it"
muletto events -o json | jq -e '.events | map(.event) | index("boot-ended")' > /dev/null || fail "the list lacks events"
expect_failure 3 "no longer known" muletto events --follow --after 5
expect_failure 2 "goes with --follow" muletto events --after 5

# ---- another tenant's operator has seen nothing of this
! seen other '.tenant == "default"' || fail "another tenant's events are shown: $(cat "$WORK/other.log")"
! grep -q web "$WORK/other.log" || fail "another tenant's machine is named"
curl -sk -o "$WORK/answer" -w '%{http_code}' -H "Authorization: Bearer $(< "$WORK/bakery.token")" \
  "https://$(appliance_address)/api/v1/events/stream?tenant=default" | has -x 403 || fail "not refused"

# ---- a token that is revoked ends its streams
background_alive other || fail "the stream has ended too early"
muletto token revoke "$(json .token.id < "$WORK/bakery.json")" > /dev/null
gone() { ! background_alive "$1"; }
wait_until 40 "the stream of a revoked token ends" gone other

# ---- streams hold nobody up, and end with the daemon, who says so
background_alive stalled || fail "the stalled client is gone"
muletto status > /dev/null
before=$SECONDS
stop_background mulettod
[ $((SECONDS - before)) -lt 10 ] || fail "the daemon waited for a stream"
wait_until 10 "the stream ends with the daemon" gone all
tail -n 1 "$WORK/plain.log" | has "appliance" || fail "the end is not explained: $(tail -n 1 "$WORK/plain.log")"
kill -CONT "$(background_pid stalled)"
