#!/usr/bin/env bash
# Wrong clocks, of a host and of the appliance: an agent's clock a year off, the appliance's set a year ahead and
# back while it runs and across a restart. Every time syncs continue, nothing is deleted, the newest point is the one
# that came last, and the alerts say whose clock it is.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent
require_commands jq faketime

# faketime moves what time() says, never the steady clock: as when somebody sets the clock.
library=$(faketime -f +0 env | sed -n 's/^LD_PRELOAD=//p')
[ -n "$library" ] || skip "faketime does not say which library it uses"
at_time() {  # at_time FILE COMMAND...   the command's clock is off by what the file says, at any moment
  local file=$1
  shift
  exec env LD_PRELOAD="$library" FAKETIME_TIMESTAMP_FILE="$file" FAKETIME_NO_CACHE=1 \
    FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "$@"
}
cat > "$WORK/mulettod-at" <<SH
#!/usr/bin/env bash
$(declare -f at_time)
library='$library'
at_time "$WORK/appliance.time" "$BIN/mulettod" "\$@"
SH
sed 's/appliance.time/agent.time/; s/mulettod/muletto-agent/' "$WORK/mulettod-at" > "$WORK/agent-at"
chmod +x "$WORK/mulettod-at" "$WORK/agent-at"
set_clock() {  # set_clock appliance|agent OFFSET
  echo "$2" > "$WORK/$1.time.new"
  mv "$WORK/$1.time.new" "$WORK/$1.time"
}
set_clock appliance +0
set_clock agent +0

port=$(free_port)
export MULETTO_SOCKET=$WORK/run/api.sock
serve() {
  rm -f "$WORK/run/mulettod.json"
  start_background mulettod "$WORK/mulettod-at" --state-directory "$WORK/state" --run-directory "$WORK/run" \
    --listen "127.0.0.1:$port" --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
  wait_until 30 "mulettod is ready" test -s "$WORK/run/mulettod.json"
}
serve
head -c 1M /dev/urandom > "$WORK/web.raw"
write_agent_config agent "web=$WORK/web.raw"
enroll_agent alpha --config "$WORK/agent.toml"
muletto policy set default --protect-new yes --schedule "every 1s" --keep all
start_background agent "$WORK/agent-at" run --config "$WORK/agent.toml"

ids() {
  muletto point list --machine web -o json | json '.points[].id'
}
count() {
  ids | wc -l
}
grows_past() {
  [ "$(count)" -gt "$1" ] || { echo "$(count) points"; return 1; }
}
has_alert() {  # has_alert KIND REGEX
  muletto alert list -o json | json ".alerts[] | select(.kind == \"$1\") | .subject + \": \" + .message" \
    | grep -E "$2"
}
no_alert() {
  [ -z "$(muletto alert list -o json | json ".alerts[] | select(.kind == \"$1\") | .message")" ]
}
# Two more points come; all that were there are there, in the same order, and the latest is the last.
goes_on() {  # goes_on WHAT
  local before=$WORK/before after=$WORK/after number
  ids > "$before"
  number=$(wc -l < "$before")
  wait_until 25 "syncs continue: $1" grows_past $((number + 1))
  ids > "$after"
  head -n "$number" "$after" | cmp - "$before" || fail "points went or changed their order: $1"
  # A point may come between two questions.
  latest_is_last() {
    [ "$(muletto point show web@latest -o json | json .point.id)" = "$(ids | tail -n 1)" ]
  }
  wait_until 10 "the latest is the one that came last: $1" latest_is_last
}
wait_until 30 "points come by schedule" grows_past 1
no_alert clock-wrong || fail "an alert of a host's clock that is right"
no_alert appliance-clock || fail "an alert of a clock that is right"

# ---- the host's clock
set_clock agent +300d
wait_until 25 "its clock is an alert" has_alert clock-wrong "^alpha: .*(299|300) d .*ahead"
goes_on "the host is ahead"
muletto point list --machine web | grep -E "clock was (299|300) d .* ahead" > /dev/null || fail "the point is not marked"
muletto point show web@latest | grep "the host.s clock was" > /dev/null || fail "point show does not tell of the clock"
year=$(date -u +%Y)
[ "$(muletto point show web@latest -o json | json '.point.time[0:4]')" = "$year" ] || fail "the host's time counts"
set_clock agent -365d
wait_until 25 "behind is one, too" has_alert clock-wrong "^alpha: .*behind"
goes_on "the host is behind"
set_clock agent +0
wait_until 25 "it is right again" no_alert clock-wrong
goes_on "the host is right again"
no_alert appliance-clock || fail "the host's clock is taken for the appliance's"

# ---- the appliance's clock, while it runs and across a restart
muletto policy set default --protect-new yes --schedule "every 1s" --keep "last 1"
keeps() {
  muletto policy set default --keep "$1" > /dev/null
}
keeps all
for off in +365d -365d; do
  set_clock appliance $off
  wait_until 25 "a jump of $off is an alert" has_alert appliance-clock "clock (jumped|says)"
  keeps "last 1"
  goes_on "the appliance's clock jumped by $off"
  muletto clock show -o json | json .clock.trusted | has -x false || fail "a clock that jumped is trusted"
  stop_background mulettod KILL
  serve
  wait_until 25 "still an alert after a restart" has_alert appliance-clock "clock (jumped|says)"
  goes_on "restarted with the clock off by $off"
  keeps all
  stop_background mulettod
  set_clock appliance +0
  serve
  wait_until 25 "the clock is right again" no_alert appliance-clock
  goes_on "the clock is right again after $off"
  no_alert machine-overdue || fail "the machine is overdue with a clock that is right"
done
background_alive agent || fail "the agent ended"

# ---- an operator's word
set_clock appliance +40d
wait_until 25 "a jump is an alert" has_alert appliance-clock "jumped"
muletto clock accept | grep -E "^Trusted:? +yes" > /dev/null || fail "an accepted clock is not trusted"
wait_until 25 "the alert is over" no_alert appliance-clock
goes_on "the clock was accepted"
