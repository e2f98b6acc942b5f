#!/usr/bin/env bash
# timeout: 400
# What an appliance knows about a point is in the store with it: on the day when only the store is left,
# muletto-restore shows it; a second appliance that adopts a copy of the store holds the points again, and shows the
# first one's verdict as the first one's.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh
require_programs mulettod muletto muletto-restore nbdkit-muletto-plugin.so
ensure_libvirt
record_api

truncate -s 8M "$WORK/empty.img"
mkdir -p "$WORK/state/stores"
store=$WORK/state/stores/default
muletto store init "$store" > /dev/null
for machine in alpha beta; do
  muletto store import "$store" --machine $machine --disk "vda=$WORK/empty.img" --format raw > /dev/null
done
start_appliance
first=$MULETTO_SOCKET
muletto tenant adopt default > /dev/null
muletto point hold alpha@latest --reason "the audit of 2026" > /dev/null
muletto verify start alpha@latest -o json > "$WORK/seen.json" || true
[ "$(json .verification.verdict < "$WORK/seen.json")" = fail ] || fail "an empty disk does not fail: $(cat "$WORK/seen.json")"
alpha=$(json .verification.point < "$WORK/seen.json")
[ "$(muletto point show alpha@latest -o json | json .point.tested_elsewhere)" = null ] || fail "its own test boot is another's"

# ---- only the store is left
cp -a "$store" "$WORK/alone"
muletto-restore points --store "$WORK/alone" > "$WORK/points"
grep -q "alpha *fail, tested .* by the appliance $(hostname); held" "$WORK/points" || fail "the list: $(cat "$WORK/points")"
has 'beta$' < "$WORK/points" || fail "something is said of a point of which nothing is known: $(cat "$WORK/points")"

# ---- a second appliance
start_appliance --name second
muletto tenant adopt default --store "$WORK/alone" --yes > "$WORK/adopted"
grep -q "^1 points are held" "$WORK/adopted" || fail "no word of the hold: $(cat "$WORK/adopted")"
grep -q "^1 points were tested by another appliance" "$WORK/adopted" || fail "no word of the test: $(cat "$WORK/adopted")"
expect_failure 4 "held.*the audit of 2026" muletto point delete alpha@latest
muletto point show alpha@latest > "$WORK/shown"
grep -q "Tested elsewhere: *fail at .* by the appliance $(hostname), not by this one" "$WORK/shown" || fail "$(cat "$WORK/shown")"
[ "$(muletto verify list -o json | json '.verifications | length')" = 0 ] || fail "another's test boot counts as its own"
# What this one does not know stays.
muletto point release alpha@latest > /dev/null
muletto-restore points --store "$WORK/alone" > "$WORK/points"
grep -q "alpha *fail, tested .* by the appliance $(hostname)$" "$WORK/points" || fail "after the release: $(cat "$WORK/points")"

# ---- the first one is not concerned; a file that was damaged costs nothing, and is written again
MULETTO_SOCKET=$first
expect_failure 4 "held" muletto point delete alpha@latest
marks=$(find "$store/points" -name "$alpha.marks")
printf x | dd of="$marks" bs=1 seek=60 conv=notrunc status=none
muletto-restore points --store "$store" > "$WORK/points"
grep -q "alpha.*its marks cannot be read" "$WORK/points" || fail "damage is not said: $(cat "$WORK/points")"
muletto boot check alpha@latest --memory 64M > /dev/null || fail "damaged marks stop a start"
stop_background mulettod
start_appliance
wait_until 30 "the marks are written again" sh -c "muletto-restore points --store '$store' | grep 'alpha.*held'"
# A store that says what it is asked to: nothing of it reaches the terminal, or counts.
for hostile in "$(printf '\033[2J')" "" "$(head -c 100000 /dev/zero | tr '\0' a)"; do
  printf '%s' "$hostile" > "$marks"
  muletto-restore points --store "$store" > "$WORK/points"
  ! has -P '\x1b' < "$WORK/points" || fail "a mark moves the cursor"
  has 'alpha.*its marks cannot be read' < "$WORK/points" || fail "a hostile mark is taken: $(cat "$WORK/points")"
done
muletto point release alpha@latest > /dev/null
muletto point delete alpha@latest > /dev/null
[ -z "$(find "$store/points" -name "$alpha*")" ] || fail "marks outlive their point"
