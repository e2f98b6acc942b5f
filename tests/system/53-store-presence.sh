#!/usr/bin/env bash
# timeout: 180
# A store that is not there is neither made again nor forgotten: unmounted, foreign, read-only, held by another
# process, put back from an older copy; each is refused with a sentence, is an alert, and ends by itself. A fresh
# appliance takes the store by order. libvirt and keys that are gone.
# In a mount namespace of its own: a process elsewhere that copied its mounts would keep a disk in use, and no disk
# that is in use can be mounted in another mode.
if [ "$(id -u)" -eq 0 ] && [ -z "${MULETTO_PRIVATE_MOUNTS:-}" ]; then
  MULETTO_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private -- "$BASH" "$0"
fi
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq qemu-img mkfs.ext4 mount umount
require_programs mulettod muletto muletto-agent

state=$WORK/state
disk=$state/stores/default
libvirt=$(libvirt_uri main) # which is started later

alert_kinds() { muletto alert list -o json | json '.alerts[].kind'; }
has_alert() { alert_kinds | has -x "$1"; }
has_no_alert() { ! alert_kinds | has -x "$1"; }
store_state() { [ "$(muletto status -o json | json .store.state)" = "$1" ]; }
points() { muletto point list -o json | json '[.points[] | select(.missing_since == null)] | length'; }
points_are() { [ "$(points)" = "$1" ]; }
has_alert_of() { muletto alert list -o json | jq -e --arg of "$1" '.alerts[] | select(.subject == $of)'; }

# A file system that is still in use somewhere cannot be mounted in another mode: try until it is let go of.
unmount() { umount -l "$disk"; }
mount_disk() { wait_until 10 "the disk $1 can be mounted" mount -o "loop${2:+,$2}" "$WORK/$1.disk" "$disk"; }
make_disk() {
  truncate -s 96M "$WORK/$1.disk"
  mkfs.ext4 -qF -m 0 "$WORK/$1.disk"
  mount_disk "$1"
  rmdir "$disk/lost+found"
}
on_exit umount -l "$disk"

# ---- an appliance whose store has a disk of its own, and an agent that syncs to it
mkdir -p "$disk"
make_disk other
muletto store init "$disk" > /dev/null
umount "$disk"
make_disk own
start_appliance --libvirt-uri "$libvirt"
truncate -s 8M "$WORK/web.img"
head -c 3M /dev/urandom | dd of="$WORK/web.img" conv=notrunc status=none
agent=(--state-directory "$WORK/agent" --run-directory "$WORK/agent-run")
enroll_agent web "${agent[@]}"
sync_web() { muletto-agent sync web --image "$WORK/web.img" --format raw --quiet "${agent[@]}"; }
sync_web
sync_web
count=2
points_are $count || fail "two points are not there"
wait_until 10 "the store is ready" store_state ready
id=$(muletto tenant info -o json | json .store.id)

expect_unusable() { # STATE WORDS
  wait_until 10 "the store is $1" store_state "$1"
  wait_until 10 "an alert about it" has_alert store-unusable
  muletto status | has "$1 since" || fail "status does not say that it is $1"
  muletto tenant list | has "$1" || fail "tenant list does not say that it is $1"
  muletto tenant info > "$WORK/info"
  grep -q "$2" "$WORK/info" || fail "tenant info does not say '$2'"
  muletto point list > "$WORK/points"
  [ "$(grep -c ' web ' "$WORK/points")" = $count ] || fail "the points are forgotten while it is $1"
  grep -q "could not be asked" "$WORK/points" || fail "point list does not say that the store is $1"
  muletto machine list | has web || fail "the machine is forgotten while the store is $1"
  muletto alert list | has "could not be checked" || fail "alert list does not say what was not checked"
}
expect_ready() {
  wait_until 15 "the store is taken up again" store_state ready
  wait_until 10 "the alert is closed" has_no_alert store-unusable
  points_are $count || fail "$(points) points, not $count"
}

# ---- unmounted under the running daemon, which has it open
unmount
expect_unusable missing "mount its disk"
expect_failure 6 "mount its disk" muletto boot start web@latest
expect_failure 6 "mount its disk" muletto boot check web@latest
expect_failure 6 "mount its disk" muletto tenant check
expect_failure 6 "mount its disk" muletto point delete web@latest
! sync_web > "$WORK/sync.out" 2>&1 || fail "a sync into nothing succeeds"
[ -z "$(ls -A "$disk")" ] || fail "something was made in the empty folder: $(ls -A "$disk")"
mount_disk own
expect_ready
sync_web
count=3
points_are $count || fail "syncs do not continue"

# ---- the daemon starts without the disk
stop_background mulettod
umount "$disk"
start_appliance --libvirt-uri "$libvirt"
expect_unusable missing "mount its disk"
[ -z "$(ls -A "$disk")" ] || fail "something was made in the empty folder: $(ls -A "$disk")"

# ---- another store's disk there
mount_disk other
expect_unusable foreign "another store"
umount -l "$disk"
mount_disk own
expect_ready

# ---- read-only: nothing is added; it can still be read
unmount
wait_until 10 "it is let go of" store_state missing
mount_disk own ro
expect_unusable read-only "can only be read"
muletto point show web@latest > /dev/null
! sync_web > "$WORK/sync.out" 2>&1 || fail "a sync into a read-only store succeeds"
unmount
wait_until 10 "it is let go of" store_state missing
mount_disk own
expect_ready

# ---- held by another process
stop_background mulettod
start_background holder flock --no-fork "$disk/writer.lock" sleep 600
wait_until 5 "the lock is held" bash -c "! flock -n '$disk/writer.lock' true"
start_appliance --libvirt-uri "$libvirt"
expect_unusable held "another process"
muletto point show web@latest > /dev/null
stop_background holder
expect_ready

# ---- put back from a copy that lacks a point
stop_background mulettod
muletto store delete "$disk" web@latest > /dev/null
start_appliance --libvirt-uri "$libvirt"
wait_until 10 "an alert about the lost point" has_alert points-missing
muletto point list | has MISSING || fail "the lost point is not shown"
expect_failure 4 "forget" muletto tenant recompute
muletto tenant recompute --forget > /dev/null
wait_until 10 "the alert is closed" has_no_alert points-missing
points_are 2 || fail "points that are left are not there"

# ---- libvirt is not there: said everywhere, an alert
muletto status | has "libvirt.*not since" || fail "status does not say that libvirt is gone"
wait_until 20 "an alert about libvirt" has_alert_of libvirt
muletto boot list > "$WORK/boots" 2>&1 || true
grep -q libvirt "$WORK/boots" || fail "boot list does not say that libvirt is gone"
start_libvirt main
no_alert_of() { ! has_alert_of "$1"; }
wait_until 20 "libvirt is found, and the alert is closed" no_alert_of libvirt
muletto boot list > /dev/null

# ---- keys that are gone are not made again
stop_background mulettod
mv "$state/pki" "$WORK/pki"
expect_failure 6 "keys that all hosts are enrolled with" mulettod --state-directory "$state" --run-directory "$WORK/run" --listen 127.0.0.1:0
[ ! -e "$state/pki" ] || fail "keys were made"
mv "$WORK/pki" "$state/pki"
mv "$state/catalog.sqlite" "$WORK/catalog.sqlite"
expect_failure 6 "but not its catalog" mulettod --state-directory "$state" --run-directory "$WORK/run" --listen 127.0.0.1:0
mv "$WORK/catalog.sqlite" "$state/catalog.sqlite"

# ---- a second appliance takes the store by order
start_appliance --name second --libvirt-uri "$libvirt"
points_are 0 || fail "the second appliance has points"
muletto tenant adopt default --store "$disk" > "$WORK/adopted"
grep -q "$id" "$WORK/adopted" || fail "another store was adopted"
points_are 2 || fail "the adopted points are not listed"
muletto machine list | has web || fail "the adopted machine is not listed"
muletto tenant create acme --encrypted | has "Keep a copy" || fail "nothing is said of the key"
[ "$(muletto tenant info --tenant acme -o json | json .store.standing.encrypted)" = true ] || fail "acme is not encrypted"
