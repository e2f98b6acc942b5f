#!/usr/bin/env bash
# timeout: 400
# A copy is started while its original is seen running: refused until somebody says which of the two is the truth; a
# trial takes nothing from production; a copy that takes production's place is an alert; a dead host asks nothing.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh script
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt

printf '[verification]\nwatch_on = "1s"\n' > "$WORK/mulettod.toml"
start_appliance --config "$WORK/mulettod.toml"
cat > "$WORK/agent.toml" <<TOML
libvirt_uri = "$LIBVIRT_DEFAULT_URI"
state_directory = "$WORK/agent"
run_directory = "$WORK/agent.run"
TOML
enroll_agent office --config "$WORK/agent.toml"
build_guest acc
define_guest acc "$WORK/acc.qcow2" --no-net
muletto-agent sync acc --config "$WORK/agent.toml" > /dev/null

# No agent is heard: the host may be gone, and nobody waits for an answer to a question.
try() { muletto boot start acc@latest --memory 128M --cpus 1 --network none "$@" < /dev/null; }
boot_id() { muletto boot list -o json | json '.boots[0].id'; }
discard() { muletto boot stop "$(boot_id)" --discard --yes; }
try > /dev/null
discard

# The agent reports the machine running.
start_background agent muletto-agent run --config "$WORK/agent.toml"
unsettled() { { muletto boot check acc@latest --network none -o json || true; } | jq -e '.check.original.host == "office"'; }
wait_until 30 "the original is seen" unsettled
(muletto boot check acc@latest --network none || [ $? -eq 2 ]) > "$WORK/checked"
grep -q "seen running on its host 'office'" "$WORK/checked" || fail "boot check says nothing: $(cat "$WORK/checked")"
expect_failure 4 "--original beside" try
expect_failure 4 "seen running" muletto boot start --all --network none < /dev/null
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "something was started"

# A person at a terminal is asked, and may say nothing.
printf 'n\n' > "$WORK/no"
script -qec "muletto boot start acc@latest --memory 128M --cpus 1 --network none" /dev/null < "$WORK/no" > "$WORK/asked" || true
grep -q "let the copy take its place" "$WORK/asked" || fail "nobody was asked: $(cat "$WORK/asked")"
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "something was started"

# A trial: production continues to be synced.
try --original beside > /dev/null
[ "$(muletto boot list -o json | json '.boots[0].timeline')" = production ] || fail "the trial took the timeline"
muletto sync start acc > /dev/null || fail "production is not synced beside a trial"
alert() { muletto alert list -o json | jq -e '[.alerts[] | select(.kind == "timeline-taken")] | length > 0'; }
no_alert() { ! alert; }
no_alert > /dev/null || fail "an alert about a trial"
discard

# The copy takes its place, though the original still runs: nobody syncs what is written there.
try --original replaced > /dev/null
[ "$(muletto boot list -o json | json '.boots[0].timeline')" = instant ] || fail "it did not take the timeline"
wait_until 90 "production that is not synced is an alert" alert
muletto boot set "$(boot_id)" --timeline production > /dev/null
wait_until 90 "the alert ends" no_alert
discard

# The host dies: after 15 seconds nobody is asked any more.
stop_background agent KILL
wait_until 40 "the original is not seen any more" try
discard
