#!/usr/bin/env bash
# timeout: 240
# 500 machines and 50,000 points: what the answers behind the pages cost, and what the first view weighs. Limits are far
# above what a quiet machine needs (docs/performance.md), so that only a mistake of another order fails here.
. "$(dirname "$0")/lib.sh"

require_root
require_commands curl jq python3
require_programs mulettod muletto

state=$WORK/state
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
stop_background mulettod
python3 "$SOURCE/tests/page/seed-catalog" "$state" --machines 500 --points 50000
# Its store has none of these points: it is away, as after a power cut, and the catalog is asked.
mv "$state/stores/default" "$WORK/away"
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
[ "$(muletto machine list -o json | json '.machines | length')" = 500 ] || fail "not 500 machines"

# Processor time of the daemon's own threads (not of its duties, which have names), in units of 10 ms.
spent() {
  cat /proc/"$(background_pid mulettod)"/task/*/stat | awk '$2 == "(mulettod)" { sum += $14 + $15 } END { print sum }'
}
# ask PATH   prints what an answer costs in milliseconds of processor time, the mean of five: on a machine that is busy
# with other tests, the time until it arrives says nothing.
ask() {
  local before round
  before=$(spent)
  for round in {1..5}; do
    curl -sf --unix-socket "$MULETTO_SOCKET" -o "$WORK/answer" "http://x/api/v1$1" || fail "$1 fails"
  done
  echo $((($(spent) - before) * 10 / 5))
}
slow=
for path in /overview /machines "/points?machine=machine-0007" "/verifications?machine=machine-0007&limit=1000" "/verifications?limit=200" \
  /alerts "/jobs?limit=300" /status /policies /hosts /tokens "/retention?policy=default&machine=machine-0007"; do
  took=$(ask "$path")
  echo "  $path: $took ms of a processor, $(stat -c %s "$WORK/answer") bytes"
  [ "$took" -lt 1000 ] || slow+=" $path"
done
[ -z "$slow" ] || fail "too slow:$slow"
ask /overview > /dev/null
jq -e '.machines | length == 500 and all(.[]; (.days | length) == 30 and .newest_test != null and .recovery.count > 0)' "$WORK/answer" > /dev/null \
  || fail "the overview lacks something"
first=$MULETTO_BUILD/page/generated/first-view.txt
if [ -e "$first" ]; then
  echo "  first view: $(< "$first") bytes compressed"
  [ "$(< "$first")" -le $((250 * 1024)) ] || fail "the first view is larger than 250 KiB"
fi
pass
