#!/usr/bin/env bash
# timeout: 300
# One host fills the store with noise. Syncs end with a sentence and an alert that names it, the reserve keeps an
# instant VM of another host running, and boots, stops and deletions continue; also when something else then takes the
# disk's last byte. After that what was deleted gives space back, and syncs go through again.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq virsh qemu-img nbdkit sfdisk
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
state=$(appliance_state)
mkdir "$state"
mount -t tmpfs -o size=300M,mode=711 tmpfs "$state" || skip "tmpfs cannot be mounted here"
on_exit umount -l "$state"
ensure_libvirt  # after the mount, so that it sees it
start_appliance
for host in alpha noisy; do
  enroll_agent $host --state-directory "$WORK/$host" --run-directory "$WORK/$host.run" > /dev/null
done
agent() { # agent HOST COMMAND...
  local host=$1 command=$2
  shift 2
  muletto-agent "$command" "$@" --state-directory "$WORK/$host" --run-directory "$WORK/$host.run"
}
disk() { # disk FILE MIB   of noise that looks like a disk with something to boot
  head -c "$2M" /dev/urandom > "$1"
  printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$1"
}
disk "$WORK/web.raw" 20
disk "$WORK/large.raw" 400
agent alpha sync web --image "$WORK/web.raw" --format raw --quiet > /dev/null
agent alpha sync old --image "$WORK/web.raw" --format raw --quiet > /dev/null
boot() {
  muletto boot start "$1" --memory 64M --cpus 1 --network none -o json | json .boot.id
}
runs() {
  [ "$(muletto boot show "$1" -o json | json .boot.state)" = running ]
}
free_mib() {
  df -m --output=avail "$state" | tail -n 1 | tr -d ' '
}
first=$(boot web@latest)
runs "$first" || fail "the instant VM does not run"

# ---- full of noise, as far as syncs may
expect_failure 7 "no space for syncs" agent noisy sync own --image "$WORK/large.raw" --format raw --quiet
echo "$(free_mib) MiB are left by syncs"
[ "$(free_mib)" -ge 20 ] || fail "syncs have used up the reserve"
disk "$WORK/fresh.raw" 5
expect_failure 7 "no space for syncs" agent alpha sync fresh --image "$WORK/fresh.raw" --format raw --quiet
named() {
  muletto alert list -o json | jq -e '.alerts[] | select(.kind == "syncs-without-space" and (.message | contains("noisy")))'
}
wait_until 15 "an alert that says who it was" named
runs "$first" || fail "the instant VM was paused by a full store"
second=$(boot old@latest)
runs "$second" || fail "no boot with a full store"
muletto boot stop "$second" --discard --yes > /dev/null

# ---- to the last byte
second=$(boot old@latest)
dd if=/dev/zero of="$state/fill" bs=1M status=none 2> /dev/null || true
dd if=/dev/zero of="$state/fill2" bs=1 count=100000 status=none 2> /dev/null || true
[ "$(df --output=avail "$state" | tail -n 1 | tr -d ' ')" = 0 ] || fail "the disk is not full"
muletto status > /dev/null
runs "$first" || fail "the instant VM does not run on the full disk"
muletto boot stop "$second" --discard --yes > /dev/null || fail "no stop on a full disk"
muletto point delete old@latest > /dev/null || fail "no deletion on a full disk"
[ "$(muletto point list -o json | json '[.points[].machine] | join(",")')" = web ] || fail "the point is still listed"
second=$(boot web@latest) || fail "no boot on a full disk"
runs "$second" || fail "the VM that was booted on a full disk does not run"
muletto boot stop "$second" --discard --yes > /dev/null
background_alive mulettod || fail "the daemon has ended"

# ---- and after it
rm -f "$state/fill" "$state/fill2"
# What an unfinished sync left is kept for it until the compaction after the next.
for round in 1 2 3; do muletto tenant compact; done
echo "$(free_mib) MiB are free after the compaction"
wait_until 30 "syncs go through again" agent alpha sync fresh --image "$WORK/fresh.raw" --format raw --quiet
cleared() {
  ! named
}
wait_until 15 "the alert is closed" cleared
wait_until 15 "the ballast is back" test -s "$state/ballast"
muletto boot stop "$first" --discard --yes > /dev/null
muletto tenant check --deep > /dev/null

# ---- a tenant's quota
muletto tenant set default --quota 1M > /dev/null
expect_failure 7 "tenant 'default' has no space" agent alpha sync more --image "$WORK/large.raw" --format raw --quiet
muletto tenant set default --quota none > /dev/null
pass
