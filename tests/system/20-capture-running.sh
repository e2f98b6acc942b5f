#!/usr/bin/env bash
# A running machine with three disks, a writing guest in it: a first point, incremental ones in proportion to
# what changed, each byte for byte what the disks were at that instant.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

require_capture
build_guest shop
define_guest shop "$WORK/shop.qcow2" --user-net
guest_agent_ready shop 240
add_disk shop vdb 64M qcow2
add_disk shop vdc 32M raw
run_in_guest shop "head -c 20000000 /dev/urandom > /dev/vdb; head -c 5000000 /dev/urandom > /dev/vdc; sync"

# A guest that never stops writing, on all disks; to the same places, so that how fast it runs does not
# decide how much there is to read.
guest_agent shop guest-exec "$(jq -nc '{path: "/bin/sh", arg: ["-c", "while :; do
  head -c 65536 /dev/urandom | dd of=/data/noise bs=65536 conv=notrunc,fsync 2> /dev/null
  head -c 8192 /dev/urandom > /dev/vdb; date > /dev/vdc; sync; sleep 0.2
done"]}')" > /dev/null

start_sync first shop --limit 8M
copy_of_the_instant first "$WORK/copy" vda vdb vdc
sync_outcome first || fail "the first sync failed"
result=$(sed -n '/^{/,$p' "$WORK/first.log")
expect_same_disks "$(json .point <<< "$result")" "$WORK/copy" vda vdb vdc
[ "$(json .consistency <<< "$result")" = file-system ] || fail "the guest was not frozen: $result"
[[ $(json .note <<< "$result") == *"first point"* ]] || fail "the note does not say why: $result"
expect_nothing_left shop 1
grep "started in" "$WORK/first.log"; echo "frozen for $(json .frozen_ms <<< "$result") ms"

for round in 1 2 3; do
  run_in_guest shop "head -c 1000000 /dev/urandom > /data/round$round; sync"
  start_sync "next$round" shop --limit 1M
  copy_of_the_instant "next$round" "$WORK/copy" vda vdb vdc
  sync_outcome "next$round" || fail "sync $round failed"
  result=$(sed -n '/^{/,$p' "$WORK/next$round.log")
  expect_same_disks "$(json .point <<< "$result")" "$WORK/copy" vda vdb vdc
  [ "$(json '[.disks[] | select(.incremental) | .name] | join(" ")' <<< "$result")" = "vda vdb vdc" ] \
    || fail "not incremental: $result"
  [ "$(json .bytes_read <<< "$result")" -lt 25000000 ] || fail "too much was read: $result"
  [ "$(json .bytes_sent <<< "$result")" -lt 8000000 ] || fail "too much was sent: $result"
  expect_nothing_left shop 1
  echo "frozen for $(json .frozen_ms <<< "$result") ms, $(json .bytes_read <<< "$result") bytes read," \
    "$(json .bytes_sent <<< "$result") sent"
done

# Without its two noisy disks: what is read is what changed.
run_in_guest shop "kill \$(pidof head) \$(pidof sleep) 2> /dev/null; for p in \$(pidof sh); do
  grep -q vdc /proc/\$p/cmdline && [ \$p != \$\$ ] && kill \$p; done; sync" || true
agent_sync shop --exclude vdb --exclude vdc > "$WORK/quiet" 2> /dev/null
agent_sync shop --exclude vdb --exclude vdc > "$WORK/quiet"
[ "$(json '.disks | length' < "$WORK/quiet")" = 1 ] || fail "disks were not excluded: $(cat "$WORK/quiet")"
[ "$(json .bytes_read < "$WORK/quiet")" -lt 4000000 ] || fail "too much was read: $(cat "$WORK/quiet")"
pass
