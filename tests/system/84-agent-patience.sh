#!/usr/bin/env bash
# An agent never gives up for what may pass: a wrong clock, a stranger on the appliance's address, an appliance that
# knows it no longer; it says since when and why it has no contact. A sync that the appliance's death cut off continues
# by itself.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent
require_commands faketime jq

options=(--libvirt-uri "qemu:///system?socket=$WORK/no-libvirt")
start_appliance "${options[@]}"
write_agent_config agent "web=$WORK/web.raw"
head -c 24M /dev/urandom > "$WORK/web.raw"
agent() { local command=$1 && shift && muletto-agent "$command" "$@" --config "$WORK/agent.toml"; }
expect_failure 3 "not enrolled" agent run
status_is() { # status_is CODE REGEX: what muletto-agent status says, and its exit code
  local code=0 said
  said=$(agent status) || code=$?
  echo "$code: $said"
  [ "$code" -eq "$1" ] && grep -qE "$2" <<< "$said"
}
status_is 0 "no machine" > /dev/null || fail "a host without an appliance is not in order"
muletto token create -o json | json .token.token |
  agent enroll "$(appliance_address)" --fingerprint "$(appliance_fingerprint)" --name alpha > /dev/null
status_is 6 "NOT IN CONTACT: the service has not run" > /dev/null || fail "silence looks like health"

echo "a wrong clock"
# Not by the command faketime, which stays the process's parent.
faked=$(faketime -f +64y printenv LD_PRELOAD)
start_background agent env LD_PRELOAD="$faked" FAKETIME=+64y muletto-agent run --config "$WORK/agent.toml"
wait_until 20 "the reason is told" status_is 6 "NOT IN CONTACT.*(expired|clock)"
background_alive agent || fail "the agent gave up"
stop_background agent
start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 20 "the right clock brings contact" status_is 0 "in contact"

echo "an appliance that goes away during a sync"
muletto policy set default --bandwidth 4M > /dev/null
muletto sync start web > /dev/null
under_way() { [ "$(stat -c %s "$WORK/agent.run"/orders/*.position 2> /dev/null | sed -n 1p)" -gt 0 ] &&
  grep -q '[1-9][0-9]* [1-9]' "$WORK/agent.run"/orders/*.position; }
wait_until 20 "the sync is under way" under_way
stop_background mulettod KILL
wait_until 20 "the loss is noticed" grep -q "continues when" "$WORK/agent.run"/orders/*.log
start_appliance "${options[@]}"
point_of_web() { [ "$(muletto point list --machine web -o json | json '.points | length')" = 1 ]; }
wait_until 40 "the sync comes to its end" point_of_web
grep -q "sync of web is done" "$WORK/agent.log" || wait_until 10 "the order is done" grep -q "sync of web is done" "$WORK/agent.log"
[ "$(grep -c "sync of web started" "$WORK/agent.log")" = 1 ] || fail "the sync was ordered again"

echo "a stranger on the appliance's address"
port=$(appliance_address)
port=${port##*:}
stop_background mulettod
start_background stranger mulettod --state-directory "$WORK/stranger.state" --run-directory "$WORK/stranger.run" \
  --listen "127.0.0.1:$port" "${options[@]}"
wait_until 30 "the stranger is there" test -s "$WORK/stranger.run/mulettod.json"
wait_until 60 "the stranger is named" status_is 6 "foreign authority"
background_alive agent || fail "the agent gave up"
stop_background stranger

echo "an appliance that has forgotten or revoked this host"
start_appliance "${options[@]}"
muletto host revoke alpha > /dev/null
stop_background agent && start_background agent muletto-agent run --config "$WORK/agent.toml"
wait_until 60 "the refusal is told" status_is 6 "was revoked"
background_alive agent || fail "the agent gave up at the first word"
[ "$(json .revoked_count < "$WORK/agent/contact.json")" = 1 ] || fail "one answer is not counted once"
pass
