#!/usr/bin/env bash
# timeout: 900
# A running instant VM goes home while its guest works on: only what differs travels, then round after round what
# was written; one short switch; nothing that was flushed is lost; the old copy at home is kept off until then, and
# the copy here afterwards.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/failback-lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-parse nbdkit-muletto-plugin.so
require_commands jq qemu-storage-daemon qemu-img nbdkit virsh
start_both
record_api
start_appliance --libvirt-uri "$here"
write_home_config
enroll_agent home --config "$WORK/home.toml" > /dev/null
make_production
start_here

echo "the server comes back: its old copy must not"
start_home_agent
autostarts() { virsh -c "$home" dominfo shop | has 'Autostart: *enable'; }
no_autostart() { ! autostarts; }
wait_until 30 "autostart is switched off" no_autostart
virsh -c "$home" start shop > /dev/null 2>&1 || true  # it may be ended while it starts
off() { ! runs_home; }
begun=$(date +%s%N)
wait_until 5 "the old copy is ended" off
echo "ended after $((($(date +%s%N) - begun) / 1000000)) ms"
wait_until 60 "that is an alert" sh -c 'muletto alert list -o json | jq -e "[.alerts[] | select(.kind == \"original-started\")] | length > 0"'
stop_background agent KILL
virsh -c "$home" start shop > /dev/null 2>&1 || true  # it may be ended while it starts
start_home_agent
wait_until 10 "it is ended before the agent has asked anybody" off

echo "who may not, and what makes no sense, is refused"
expect_failure 2 "in one way" muletto failback start shop home
expect_failure 2 "confirm it" muletto failback start shop home --in-place
expect_failure 3 "no such host|nowhere" muletto failback start shop nowhere --in-place --overwrite shop
expect_failure 3 "no failback 77" muletto failback show 77

echo "one is paused, and cancelled"
failback=$(muletto failback start shop home --in-place --overwrite shop -o json | json .failback.id)
muletto failback pause "$failback" | has paused || fail "it is not paused"
muletto failback continue "$failback" > /dev/null
expect_failure 4 "cancel it instead" muletto failback keep "$failback"
muletto failback cancel "$failback" > /dev/null
wait_until 30 "it is cancelled" step_is cancelled
expect_failure 4 "over" muletto failback finish "$failback"

echo "home follows"
muletto failback start shop home --in-place --overwrite shop -o json > "$WORK/failback.json"
failback=$(json .failback.id < "$WORK/failback.json")
expect_failure 4 "already" muletto failback start shop home --in-place --overwrite shop
wait_until 240 "home is ready" step_is ready
muletto failback show "$failback" -o json > "$WORK/ready.json"
[ "$(json .failback.last_written < "$WORK/ready.json")" -lt $((32 << 20)) ] || fail "too much: $(cat "$WORK/ready.json")"
expect_failure 4 "bringing" muletto boot stop "$boot" --discard --yes
muletto failback list | has ready || fail "it is not listed"
runs_here || fail "the machine does not run here"

echo "the switch"
watch_both & watcher=$!
on_exit kill "$watcher"
muletto failback finish "$failback" > /dev/null
wait_until 240 "the machine is home" step_is kept
! runs_here || fail "it runs here"
runs_home || fail "it does not run at home"
last=$(acked "$serial_here")
counted "$WORK/shop.serial.log" "$last"
muletto failback show "$failback" -o json > "$WORK/kept.json"
echo "pause: $(json .failback.pause_ms < "$WORK/kept.json") ms, predicted $(json .failback.predicted_ms < "$WORK/kept.json") ms; the last difference: $(json .failback.last_written < "$WORK/kept.json") bytes"
[ "$(json .failback.holder < "$WORK/kept.json")" = home ] || fail "the holder: $(cat "$WORK/kept.json")"
kill "$watcher"
wait "$watcher" 2> /dev/null || true
[ ! -s "$WORK/both" ] || fail "both ran: $(cat "$WORK/both")"
expect_failure 4 "runs at home" muletto boot power "$boot" power-on
copy=$(virsh -c "$here" list --all --name | grep '^muletto-shop')
virsh -c "$here" start "$copy" > /dev/null 2>&1 || true  # its export is gone: it can hardly start
not_here() { ! runs_here; }
wait_until 10 "a copy that somebody else started here is ended" not_here
wait_until 30 "autostart is on again at home" autostarts

echo "home is production again"
wait_until 60 "home's own syncs are accepted" muletto-agent sync shop --config "$WORK/home.toml" --quiet
muletto failback finish "$failback" > /dev/null
wait_until 30 "the VM here is given up" step_is done
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "something is left: $(muletto boot list)"
runs_home || fail "it does not run at home any more"
pass
