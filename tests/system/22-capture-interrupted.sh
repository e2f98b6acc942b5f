#!/usr/bin/env bash
# A sync that is interrupted, killed or hangs leaves nothing behind, at whatever moment, and the next one is
# incremental. A guest does not stay frozen.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"

points() {
  muletto store points "$STORE" --output json | json length
}

expect_incremental() {
  agent_sync shop > "$WORK/result"
  [ "$(json '[.disks[].incremental] | all' < "$WORK/result")" = true ] || fail "not incremental: $(cat "$WORK/result")"
  expect_nothing_left shop 1
}

guest_frozen() {
  [ "$(guest_agent shop guest-fsfreeze-status)" = '"frozen"' ]
}

guest_thawed() {
  [ "$(guest_agent shop guest-fsfreeze-status)" = '"thawed"' ]
}

no_guard() {
  ! pgrep -f -- "--sync-guard.*$STATE"
}

frozen_mark() {
  [ -n "$(find "$STATE/machines" -name '*.frozen')" ]
}

# freeze_and_stop NAME   starts a sync and stops it while its guest is frozen.
freeze_and_stop() {
  local try
  for try in {1..20}; do
    start_sync "$1$try" shop
    # Without a pause: the guest is frozen for some hundredths of a second.
    until frozen_mark || ! background_alive "$1$try"; do :; done
    kill -s STOP "$(background_pid "$1$try")" 2> /dev/null || true
    for _ in {1..20}; do
      if guest_frozen; then
        stopped=$1$try
        return
      fi
      sleep 0.05
    done
    kill -s CONT "$(background_pid "$1$try")" 2> /dev/null || true
    sync_outcome "$1$try" || true
  done
  fail "no sync was caught with a frozen guest"
}

require_capture
build_guest shop
define_guest shop "$WORK/shop.qcow2" --no-net
guest_agent_ready shop 240
agent_sync shop > /dev/null

for signal in INT TERM KILL; do
  echo "SIG$signal while copying"
  before=$(points)
  run_in_guest shop "head -c 20000000 /dev/urandom > /data/big; sync"
  start_sync "copy$signal" shop --full --limit 4M
  wait_until 60 "the backup job of a sync" _backup_socket
  kill -s "$signal" "$(background_pid "copy$signal")"
  status=0
  sync_outcome "copy$signal" || status=$?
  [ "$signal" != KILL ] && expected=130 || expected=137
  [ "$status" -eq "$expected" ] || fail "exit code $status after SIG$signal: $(cat "$WORK/copy$signal.log")"
  wait_until 60 "the guard has tidied up" no_guard
  expect_nothing_left shop 1
  [ "$(points)" -eq "$before" ] || fail "an interrupted sync left a point"
  expect_incremental
done

echo "SIGKILL while the guest is frozen"
freeze_and_stop frozen
kill -s KILL "$(background_pid "$stopped")"
wait_until 20 "the guest is thawed" guest_thawed
wait_until 60 "the guard has tidied up" no_guard
expect_nothing_left shop 1
expect_incremental

echo "a hang while the guest is frozen"
freeze_and_stop hang
wait_until 30 "the guest is thawed" guest_thawed
kill -s CONT "$(background_pid "$stopped")"
sync_outcome "$stopped" || fail "the sync failed: $(cat "$WORK/$stopped.log")"
sed -n '/^{/,$p' "$WORK/$stopped.log" > "$WORK/result"
[ "$(json .consistency < "$WORK/result")" = crash ] || fail "claims to be consistent: $(cat "$WORK/result")"
[[ $(json .note < "$WORK/result") == *"thawed after"* ]] || fail "the note does not tell: $(cat "$WORK/result")"
expect_incremental

echo "agent and guard are both killed: the next sync tidies up"
freeze_and_stop both
pkill -KILL -f -- "--sync-guard.*$STATE"
kill -s KILL "$(background_pid "$stopped")"
guest_frozen || fail "thawed by whom?"
expect_incremental

echo "another program's backup is left alone"
mkdir -m 777 "$WORK/other"
virsh backup-begin shop /dev/stdin > /dev/null << XML
<domainbackup mode='pull'><server transport='unix' socket='$WORK/other/nbd.sock'/>
  <disks><disk name='vda' backup='yes' type='file'><scratch file='$WORK/other/scratch'/></disk></disks></domainbackup>
XML
expect_failure 4 "another program is making a backup" agent_sync shop
virsh domjobabort shop
# QEMU ends it in its own time.
other_backup_over() { ! virsh backup-dumpxml shop; }
wait_until 20 "the other program's backup is over" other_backup_over
expect_incremental
pass
