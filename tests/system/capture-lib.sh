# shellcheck shell=bash
# What the capture tests share, on top of lib.sh: an agent with its own state, a store, and judges that know
# nothing of either: libvirt, QEMU's NBD server and cmp.

STORE=$WORK/store
STATE=$WORK/agent
RUN=$WORK/run

require_capture() {
  require_root
  require_commands qemu-img jq nbdcopy nbdinfo virsh
  require_programs muletto muletto-agent muletto-restore
  ensure_libvirt
  muletto store init "$STORE" > /dev/null
}

# agent_sync MACHINE [OPTION...]   one sync into the store; prints its JSON.
agent_sync() {
  local machine=$1
  shift
  muletto-agent sync "$machine" --store "$STORE" --state-directory "$STATE" --run-directory "$RUN" \
    --libvirt-uri "$LIBVIRT_DEFAULT_URI" --output json "$@"
}

# start_sync NAME MACHINE [OPTION...]   the same in the background; its JSON and log go to $WORK/NAME.log.
start_sync() {
  local name=$1 machine=$2
  shift 2
  start_background "$name" muletto-agent sync "$machine" --store "$STORE" --state-directory "$STATE" --run-directory "$RUN" \
    --libvirt-uri "$LIBVIRT_DEFAULT_URI" --output json --quiet "$@"
}

# sync_outcome NAME   waits for the end of a background sync and returns its exit code.
sync_outcome() {
  local status=0
  wait "$(background_pid "$1")" || status=$?
  return $status
}

# point_disk POINT DISK FILE   writes a point's disk out.
point_disk() {
  muletto-restore disk --store "$STORE" "$1" --disk "$2" --to "$3" > /dev/null
}

# run_in_guest NAME COMMAND   runs a shell command in the guest, to its end, through the guest agent.
run_in_guest() {
  local pid
  pid=$(guest_agent "$1" guest-exec "$(jq -nc --arg c "$2" '{path: "/bin/sh", arg: ["-c", $c]}')" | json .pid)
  wait_until 60 "a command in guest $1 ended" _guest_command_ended "$1" "$pid"
}

_guest_command_ended() {
  [ "$(guest_agent "$1" guest-exec-status "{\"pid\": $2}" | json .exited)" = true ]
}

# add_disk NAME TARGET SIZE FORMAT   gives the running machine one more disk, $WORK/NAME-TARGET.FORMAT.
add_disk() {
  local image=$WORK/$1-$2.$4
  qemu-img create -q -f "$4" "$image" "$3"
  virsh attach-disk "$1" "$image" "$2" --driver qemu --subdriver "$4" --persistent > /dev/null
}

# copy_of_the_instant MACHINE OUT DISK...   while a sync of the machine has its backup job, copies the disks
# of the same instant straight from QEMU, to OUT-DISK. The sync is stopped meanwhile, its guest is not.
copy_of_the_instant() {
  local name=$1 out=$2 disk socket
  shift 2
  wait_until 60 "the backup job of a sync" _backup_begun "$@"
  kill -s STOP "$(background_pid "$name")"
  socket=$(_backup_socket)
  for disk in "$@"; do
    nbdcopy "nbd+unix:///$disk?socket=$socket" "$out-$disk"
  done
  kill -s CONT "$(background_pid "$name")"
}

# _backup_begun DISK...   the job exports all the disks, and the guest continues.
_backup_begun() {
  local disk socket
  socket=$(_backup_socket) || return 1
  for disk in "$@"; do
    nbdinfo --size "nbd+unix:///$disk?socket=$socket" || return 1
  done
  [ -z "$(find "$STATE/machines" -name '*.frozen')" ]
}

_backup_socket() {
  local socket
  for socket in "$RUN"/*/nbd.sock; do
    [ -S "$socket" ] && echo "$socket" && return
  done
  return 1
}

# expect_same_disks POINT COPY DISK...   a point's disks and their copies are equal, byte for byte.
expect_same_disks() {
  local point=$1 copy=$2 disk
  shift 2
  for disk in "$@"; do
    point_disk "$point" "$disk" "$WORK/point-$disk"
    cmp "$WORK/point-$disk" "$copy-$disk" || fail "disk $disk of point $point is not what the machine had"
    rm "$WORK/point-$disk" "$copy-$disk"
  done
}

# expect_nothing_left MACHINE CHECKPOINTS   no backup job, no frozen guest, no folder, no process, and only that
# many checkpoints.
expect_nothing_left() {
  local found
  ! virsh backup-dumpxml "$1" > /dev/null 2>&1 || fail "a backup job is left"
  found=$(find "$STATE/scratch" "$RUN" -mindepth 1)
  [ -z "$found" ] || fail "left behind: $found"
  found=$(find "$STATE/machines" -name '*.frozen')
  [ -z "$found" ] || fail "left behind: $found"
  found=$(pgrep -f -- "--sync-guard.*$STATE" || true)
  [ -z "$found" ] || fail "a guard is left: $found"
  [ "$(guest_agent "$1" guest-fsfreeze-status)" = '"thawed"' ] || fail "the guest is frozen"
  found=$(virsh checkpoint-list "$1" --name | grep -c muletto || true)
  [ "$found" -eq "$2" ] || fail "$found checkpoints are left, not $2"
}

# sync_paused MACHINE [OPTION...]   a sync of the paused machine, whose point must be what its images hold, byte
# for byte. Its JSON is in $WORK/result. Paused, so that disks can be compared after the sync.
sync_paused() {
  local machine=$1 disk image
  shift
  virsh suspend "$machine" > /dev/null
  agent_sync "$machine" --quiet "$@" > "$WORK/result" 2> "$WORK/result.err" \
    || fail "the sync failed: $(cat "$WORK/result.err")"
  expect_point_is_images "$machine"
  virsh resume "$machine" > /dev/null
}

# expect_point_is_images MACHINE   the point of $WORK/result equals the machine's images.
expect_point_is_images() {
  local disk image point format
  point=$(json .point < "$WORK/result")
  for disk in $(json '.disks[].name' < "$WORK/result"); do
    image=$(virsh domblklist "$1" | awk -v disk="$disk" '$1 == disk { print $2 }')
    format=$(qemu-img info -U --output json "$image" | json .format)
    point_disk "$point" "$disk" "$WORK/point"
    qemu-img compare -U -q -f raw -F "$format" "$WORK/point" "$image" > /dev/null \
      || fail "disk $disk of the point is not what the machine has: $(cat "$WORK/result")"
    rm "$WORK/point"
  done
}

# expect_read DISKS REASON   of the last sync exactly these disks were read in full, for that reason.
expect_read() {
  [ "$(json '[.disks[] | select(.incremental | not) | .name] | join(" ")' < "$WORK/result")" = "$1" ] \
    || fail "read in full were not '$1': $(cat "$WORK/result")"
  [[ $(json .note < "$WORK/result") == *$2* ]] || fail "no '$2' in the note: $(cat "$WORK/result")"
}

# bitmap_of IMAGE   the name of the agent's bitmap in an image that is not in use.
bitmap_of() {
  qemu-img info --output json "$1" | json '."format-specific".data.bitmaps[]?.name' | grep muletto | sed -n 1p
}
