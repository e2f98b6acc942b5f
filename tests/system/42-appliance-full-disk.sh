#!/usr/bin/env bash
# The appliance's disk fills up during a sync: agent and operator are told so, the daemon lives, earlier points
# stay readable, and once there is room the next sync goes through.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore
require_commands jq

state=$WORK/state run=$WORK/run
mkdir "$state"
mount -t tmpfs -o size=64M tmpfs "$state" || skip "tmpfs cannot be mounted here"
on_exit umount -l "$state"

start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
agent() {
  local command=$1
  shift
  muletto-agent "$command" "$@" --state-directory "$WORK/agent" --run-directory "$WORK/agent.run"
}
enroll_agent alpha --state-directory "$WORK/agent" --run-directory "$WORK/agent.run"

head -c $((8 << 20)) /dev/urandom > "$WORK/small.raw"
head -c $((100 << 20)) /dev/urandom > "$WORK/large.raw"
agent sync small --image "$WORK/small.raw" --format raw --quiet

expect_failure 7 "space" agent sync large --image "$WORK/large.raw" --format raw --quiet
muletto job list -o json > "$WORK/jobs.json"
[ "$(json '.jobs[0].state' < "$WORK/jobs.json")" = failed ] || fail "the job has not failed"
[ "$(json '.jobs[0].error.code' < "$WORK/jobs.json")" = no_space ] || fail "another reason: $(< "$WORK/jobs.json")"
[ "$(muletto point list -o json | json '.points | length')" = 1 ] || fail "a half point is visible"
muletto status > /dev/null
muletto-restore disk --store "$state/stores/default" small@latest --disk vda --to "$WORK/back.raw"
cmp "$WORK/back.raw" "$WORK/small.raw"

mount -o remount,size=300M "$state"
agent sync large --image "$WORK/large.raw" --format raw --quiet
[ "$(muletto point list -o json | json '.points | length')" = 2 ] || fail "the sync after the full disk is missing"
muletto tenant check --deep
stop_background mulettod
muletto store check "$state/stores/default" --deep
