#!/usr/bin/env bash
# Scheduled syncs: an agent that runs as a service, new machines, policies, orders by hand, alerts whose
# reason is named, retention, and the death of either side.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore
require_commands jq

state=$WORK/state run=$WORK/run
export MULETTO_SOCKET=$run/api.sock
port=$(free_port)
serve() {
  start_background "$1" mulettod --state-directory "$state" --run-directory "$run" --listen "127.0.0.1:$port" \
    --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
  wait_until 30 "mulettod is ready" test -s "$run/mulettod.json"
}
serve mulettod
fingerprint=$(json .fingerprint < "$run/mulettod.json")
for disk in web db; do
  head -c 8M /dev/urandom > "$WORK/$disk.raw"
done
write_agent_config agent "web=$WORK/web.raw"
expect_failure 3 "not enrolled" muletto-agent run --config "$WORK/agent.toml"
muletto-agent enroll "127.0.0.1:$port" --token "$(muletto token create -o json | json .token.token)" \
  --fingerprint "$fingerprint" --name alpha --config "$WORK/agent.toml"

# ---- an agent that runs is seen, and so are its machines
expect_failure 3 "web" muletto sync start web
start_background agent muletto-agent run --config "$WORK/agent.toml"
machine() {  # machine NAME FILTER
  muletto machine list -o json | json ".machines[] | select(.name == \"$1\") | $2"
}
is() {  # is EXPECTED COMMAND...
  local expected=$1 got
  shift
  got=$("$@")
  [ "$got" = "$expected" ] || { echo "$got"; return 1; }
}
at_least() {  # at_least NUMBER COMMAND...
  local number=$1 got
  shift
  got=$("$@")
  [ "${got:-0}" -ge "$number" ] || { echo "$got"; return 1; }
}
alerts() {  # alerts KIND SUBJECT
  muletto alert list -o json | json ".alerts[] | select(.kind == \"$1\" and .subject == \"$2\") | .message"
}
has_alert() {  # has_alert KIND SUBJECT REGEX
  alerts "$1" "$2" | grep -E "$3"
}
no_alert() {
  [ -z "$(alerts "$1" "$2")" ]
}
wait_until 20 "the machine was noticed" is false machine web .protection.wanted
wait_until 20 "it is reported as unprotected" has_alert machine-unprotected web "not protected"
muletto host show alpha | grep -E '^web +images' || fail "host show does not name the machine"
expect_failure 4 "already running" muletto-agent run --config "$WORK/agent.toml"

# ---- a sync by hand
muletto sync start web --follow
[ "$(machine web .point_count)" = 1 ] || fail "no point by hand"

# ---- policies: wrong ones are refused, right ones hold
expect_failure 2 "every 0m|schedule" muletto policy set fast --schedule "every 0m"
expect_failure 2 "zone|Nowhere" muletto policy set fast --timezone Nowhere/Land
expect_failure 3 "no policy" muletto machine protect web --policy fast
muletto policy set fast --schedule "every 2s" --keep "last 3" --rpo 6s
muletto machine protect web --policy fast
expect_failure 4 "web" muletto policy delete fast
wait_until 30 "points come by schedule" at_least 4 machine web .point_count
wait_until 10 "a protected machine is no alert" no_alert machine-unprotected web
[ "$(machine web .protection.worst_day_ms)" -gt 0 ] || fail "no gap is kept"
# A change of the disk is in the next point, whole.
head -c 1M /dev/urandom | dd of="$WORK/web.raw" bs=1M seek=3 conv=notrunc status=none
newest=$(machine web .latest_point.id)
newer() {
  [ "$(machine web .latest_point.id)" != "$newest" ]
}
wait_until 20 "a newer point" newer
newest=$(machine web .latest_point.id)
wait_until 20 "one more" newer
muletto-restore disk --store "$state/stores/default" web@latest --disk vda --to "$WORK/back.raw"
cmp "$WORK/back.raw" "$WORK/web.raw" || fail "the disk comes back changed"

# ---- new machines are protected at once if the policy says so
muletto policy set default --protect-new yes --schedule "every 2s" --rpo 10s
stop_background agent
cat >> "$WORK/agent.toml" <<TOML
[machines.db]
images = { vda = "$WORK/db.raw" }
image_format = "raw"
TOML
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 30 "a new machine was protected and synced" at_least 2 machine db .point_count

# ---- the agent is killed: the machine is overdue, and catches up by itself
stop_background agent KILL
wait_until 30 "overdue without an agent" has_alert machine-overdue web "should have a newer point"
muletto alert list
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 30 "the alert closed by itself" no_alert machine-overdue web

# ---- the appliance is killed: the agent comes back by itself
stop_background mulettod KILL
rm -f "$run/mulettod.json"
serve mulettod-again
newest=$(machine web .latest_point.id)
wait_until 60 "a point after the restart" newer

# ---- a sync that fails says why, and is an alert after three times
mv "$WORK/db.raw" "$WORK/db.away"
wait_until 60 "overdue, and the reason is that its syncs fail" has_alert machine-overdue db "its syncs fail: .*db\.raw" &
waiting=$!
wait_until 90 "three failures" has_alert sync-failing db "db.raw"
wait "$waiting"
mv "$WORK/db.away" "$WORK/db.raw"
status=0
muletto sync start db --follow > "$WORK/by-hand" 2>&1 || status=$?
# The schedule may have begun one already.
[ $status -eq 0 ] || has "already being synced" "$WORK/by-hand" || fail "no sync by hand: $(cat "$WORK/by-hand")"
wait_until 90 "the failures are over" no_alert sync-failing db

# ---- a schedule that is switched off is an alert too
muletto policy set fast --schedule off
wait_until 30 "overdue with the schedule off" has_alert machine-overdue web "schedule of its policy is off"

# ---- retention keeps the last three (55-retention.sh has the rest)
muletto point list --machine web -o json | json '.points[-3:] | .[].id' > "$WORK/newest"
muletto policy apply --machine web --now
muletto point list --machine web -o json | json '.points[].id' | cmp - "$WORK/newest" || fail "not the newest three were kept"
[ "$(machine web .point_count)" = 3 ] || fail "the machine has not three points"

id=$(muletto alert list -o json | json '.alerts[] | select(.subject == "web") | .id' | sed -n 1p)
muletto alert ack "$id"
muletto machine unprotect web
wait_until 20 "unprotected" has_alert machine-unprotected web "not protected"
wait_until 30 "its host removes what syncs kept" grep -q "web is no longer protected: what its syncs kept here is removed" "$WORK/agent.log"

# ---- a revoked host syncs nothing more and says so; it ends only after hours (tests/agent/contact_test.cc)
muletto host revoke alpha
wait_until 30 "the agent says that it was revoked" grep -q revoked "$WORK/agent.log"
code=0
muletto-agent status --config "$WORK/agent.toml" > "$WORK/status" || code=$?
[ "$code" -eq 6 ] && grep -q "NOT IN CONTACT.*revoked" "$WORK/status" || fail "status: $code, $(cat "$WORK/status")"
background_alive agent || fail "the agent ended at the first word"
stop_background agent
[ -z "$(ls -A "$WORK/agent.run/orders" 2> /dev/null)" ] || fail "files of orders are left"
