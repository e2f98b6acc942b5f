#!/usr/bin/env bash
# timeout: 400
# Several instant VMs by one order: in groups, with the outcome of each; one that cannot be does not stop its
# group, and those after it are skipped.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto nbdkit-muletto-plugin.so
ensure_libvirt
record_api

state=$WORK/state run=$WORK/run

"$SOURCE/tests/guests/build-guest" "$WORK/alpha.img" --hostname alpha
mkdir -p "$state/stores"
muletto store init "$state/stores/default"
for name in controller database web; do
  muletto store import "$state/stores/default" --machine $name --memory 192M --disk "vda=$WORK/alpha.img" > /dev/null
done
# No appliance can run this one.
muletto store import "$state/stores/default" --machine huge --memory 4T --disk "vda=$WORK/alpha.img" > /dev/null
# An older point, to be deleted.
muletto store import "$state/stores/default" --machine web --memory 192M --disk "vda=$WORK/alpha.img" > /dev/null
start_appliance --log-level debug
muletto tenant adopt default > /dev/null

# states FILE   prints "machine state" lines.
states() {
  json '.boots[] | .machine + " " + .state' < "$1"
}
stop_all() {
  local boot
  for boot in $(muletto boot list -o json | json '.boots[].id'); do muletto boot stop "$boot" --discard --yes > /dev/null; done
}

# In order: the database is ordered only when the controller has answered.
muletto boot start controller@latest --then database@latest --network nat --http / --timeout 4m -o json \
  > "$WORK/order.json"
[ "$(states "$WORK/order.json")" = $'controller answered\ndatabase answered' ] \
  || fail "the outcome is $(states "$WORK/order.json")"
muletto job show "$(muletto job list --kind boots -o json | json '.jobs[0].id')" > "$WORK/job"
answered=$(grep -n "controller: .* answered" "$WORK/job" | sed -n 1p | cut -d: -f1)
begun=$(grep -n "database runs" "$WORK/job" | sed -n 1p | cut -d: -f1)
[ -n "$answered" ] && [ -n "$begun" ] && [ "$answered" -lt "$begun" ] || fail "the database did not wait"
stop_all

# What cannot be is told; its neighbour starts, and what comes after them does not.
expect_failure 1 "2 of 3 machines were not started" \
  muletto boot start huge@latest controller@latest --then web@latest --network none -o json
[ "$(states "$WORK/stdout")" = $'huge failed\ncontroller started\nweb skipped' ] \
  || fail "the outcome is $(states "$WORK/stdout")"
json '.boots[0].error' < "$WORK/stdout" | has "4.0 TiB of memory" || fail "no reason is given"
stop_all

# Unless it is told to; --all means all others. Nobody listens on port 9: they run, and are silent.
expect_failure 1 "1 of 4 machines were not started" \
  muletto boot start huge@latest --all --keep-going --network nat --tcp 9 --timeout 1s -o json
[ "$(states "$WORK/stdout" | sort)" = $'controller silent\ndatabase silent\nhuge failed\nweb silent' ] \
  || fail "the outcome is $(states "$WORK/stdout")"

# Work of hours holds nobody up: with a dozen waits for a day and a pull of each VM under way, a stop, a deletion
# and a start begin at once.
api() { curl -sS --fail --unix-socket "$run/api.sock" -X "$1" "http://muletto/api/v1$2" --data "${3:-}"; }
vm_of() { muletto boot list -o json | json ".boots[] | select(.machine == \"$1\") | .id"; }
controller=$(vm_of controller)
for _ in $(seq 12); do api POST "/boots/$controller/wait" '{"tcp": 9, "timeout": "24h"}' > /dev/null; done
for machine in controller database web; do
  api POST "/boots/$(vm_of $machine)/pull" '{"bandwidth": 1}' > /dev/null
done
all_run() { [ "$(muletto job list --state running -o json | json '.jobs | length')" = 15 ]; }
wait_until 20 "all waits and pulls run" all_run
# begins_at_once JOB   ends with the job; a job that waited says when it was made and when it began.
begins_at_once() {
  muletto job follow "$1" > /dev/null
  local made begun
  read -r made begun < <(api GET "/jobs/$1" | json '.job | .created + " " + .started')
  [ "$(($(date -d "$begun" +%s%3N) - $(date -d "$made" +%s%3N)))" -le 1000 ] || fail "job $1 waited: $made $begun"
}
begins_at_once "$(api POST "/boots/$(vm_of database)/stop" '{"keep_overlay": false}' | json .job.id)"
begins_at_once "$(api DELETE "/points/$(muletto point list --machine web -o json | json '.points[0].id')" | json .job.id)"
begins_at_once "$(api POST /boots '{"point": "database@latest", "networks": ["none"]}' | json .job.id)"
# The second pull of a VM is the first.
pull=$(muletto job list --kind pull --state running -o json | json '[.jobs[] | select(.subject == "web")][0].id')
[ "$(api POST "/boots/$(vm_of web)/pull" | json .job.id)" = "$pull" ] || fail "a VM is pulled twice at once"
for job in $(muletto job list --state running -o json | json '.jobs[].id'); do muletto job cancel "$job" > /dev/null; done
nothing_runs() { [ "$(muletto job list --state running -o json | json '.jobs | length')" = 0 ]; }
wait_until 10 "cancelled waits and pulls to end" nothing_runs
stop_all

expect_failure 2 "named twice" muletto boot start web@latest --then web@latest
expect_failure 3 "" muletto boot start web@latest nothing@latest
expect_failure 2 "POINT is missing" muletto boot start
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "something runs"
