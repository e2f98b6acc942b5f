# shellcheck shell=bash
# The library of system tests. A test is one script for one behaviour, and begins with
#
#   . "$(dirname "$0")/lib.sh"
#
# Strict mode applies after that: a command that fails ends the test as failed. Reaching the end is
# a pass. A test owns the folder $WORK, which is removed at the end (kept with MULETTO_KEEP=1).
# Everything it starts is undone in reverse order, however the test ends. Functions that register
# something to undo refuse to be called in a subshell, a pipe or $(...).
#
# Variables for the test: SOURCE (the checkout), BIN (the built programs, also in PATH), WORK, CACHE.
# From outside: MULETTO_BUILD (default: build in the checkout), MULETTO_CACHE, MULETTO_KEEP,
# MULETTO_LIBVIRT_URI (see ensure_libvirt), TMPDIR.

set -Eeuo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8

SOURCE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
MULETTO_BUILD=$(readlink -m "${MULETTO_BUILD:-$SOURCE/build}")
BIN=$MULETTO_BUILD/bin
CACHE=${MULETTO_CACHE:-${HOME:-/root}/.cache/muletto}
TEST_NAME=$(basename "$0" .sh)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/muletto-$TEST_NAME.XXXXXX")
# QEMU runs as another user and must be able to read its images.
chmod 755 "$WORK"
export SOURCE BIN WORK MULETTO_BUILD PATH="$BIN:$PATH"

# ---- the end of a test

declare -a _cleanup=() _compare=()
declare -A _background=()
_recording=

# on_exit COMMAND ARGUMENT...   runs the command when the test ends, before those registered
# earlier. Its failure is ignored.
on_exit() {
  [ "$BASH_SUBSHELL" -eq 0 ] || fail "nothing can be registered for the end in a subshell: $*"
  _cleanup+=("$(printf '%q ' "$@")")
}

_finish() {
  local status=$1 i log
  trap - EXIT ERR
  trap '' INT TERM HUP
  set +e
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    for log in "$WORK"/*.log; do
      [ -s "$log" ] || continue
      printf -- '---- %s (end)\n%s\n' "${log##*/}" "$(tail -n 20 "$log" | tr -d '\0\r')" >&2
    done
  fi
  for ((i = ${#_cleanup[@]} - 1; i >= 0; i--)); do
    eval "${_cleanup[i]}" > /dev/null 2>&1
  done
  _end_exports > /dev/null 2>&1
  if [ "$status" -eq 0 ] && [ -n "$_recording" ]; then
    "$SOURCE/tests/tools/api-contract" check "$_recording" "${_compare[@]}" || status=1
    [ "$status" -eq 0 ] || echo "FAIL: the API is not as docs/api/openapi.yaml describes it: see above" >&2
  fi
  if [ "${MULETTO_KEEP:-0}" = 1 ]; then
    echo "kept: $WORK" >&2
  else
    rm -rf "$WORK"
  fi
  exit "$status"
}
# The exports of instant VMs outlive the daemon; these belong to this test's folder.
_end_exports() {
  pgrep -f "[n]bdkit .*-U $WORK/" | xargs -r kill -KILL
}
trap '_finish $?' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'echo "FAIL: exit code $? of: $BASH_COMMAND ($(_place))" >&2' ERR

# Prints FILE:LINE of the innermost line in the test rather than in this library.
_place() {
  local depth=1 last=$((${#BASH_SOURCE[@]} - 1))
  while [ $depth -lt $last ] && [ "${BASH_SOURCE[depth]}" = "${BASH_SOURCE[0]}" ]; do
    depth=$((depth + 1))
  done
  echo "${BASH_SOURCE[depth]##*/}:${BASH_LINENO[depth - 1]}"
}

# pass   ends the test here, as passed.
pass() {
  exit 0
}

# fail MESSAGE   ends the test as failed.
fail() {
  trap - ERR
  echo "FAIL: $1 ($(_place))" >&2
  exit 1
}

# skip REASON   ends the test as skipped: this machine cannot run it.
skip() {
  trap - ERR
  echo "SKIP: $1" >&2
  exit 77
}

# ---- requirements of a test

# require_root   skips the test for other users.
require_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# require_commands NAME...   skips the test when a command is missing.
require_commands() {
  local name
  for name in "$@"; do
    command -v "$name" > /dev/null || skip "needs the command $name"
  done
}

# require_programs NAME...   fails the test when a program of this project is not built.
require_programs() {
  local name
  for name in "$@"; do
    [ -x "$BIN/$name" ] || fail "$name is not built: $BIN/$name does not exist"
  done
}

# ---- checks and small helpers

# wait_until SECONDS DESCRIPTION COMMAND...   runs the command until it succeeds; fails the test
# with the description and the command's output if it does not succeed within that time, or at once
# if it ends with exit code 99, which means that it will never succeed.
wait_until() {
  local seconds=$1 description=$2 pause=0.05 output status
  shift 2
  local deadline=$((${EPOCHREALTIME/./} + seconds * 1000000))
  while true; do
    status=0
    output=$("$@" 2>&1) || status=$?
    [ $status -ne 0 ] || return 0
    [ $status -ne 99 ] || fail "never: $description${output:+ (${output:0:300})}"
    if [ "${EPOCHREALTIME/./}" -ge "$deadline" ]; then
      fail "not within $seconds s: $description${output:+ (${output:0:300})}"
    fi
    sleep $pause
    pause=0.2
  done
}

# expect_failure CODE REGEX COMMAND...   the command must end with that exit code, and explain it on
# standard error in one clear sentence that matches the extended regular expression. Afterwards
# $WORK/stdout and $WORK/stderr contain its output.
expect_failure() {
  local code=$1 regex=$2 status=0
  shift 2
  "$@" > "$WORK/stdout" 2> "$WORK/stderr" || status=$?
  local text
  text=$(< "$WORK/stderr")
  [ "$status" -eq "$code" ] || fail "exit code $status, not $code: $* (it wrote: $text)"
  [[ $text =~ $regex ]] || fail "'$regex' is not in the message of $*: $text"
  [ "$(wc -l < "$WORK/stderr")" -le 1 ] || fail "more than one line on standard error of $*: $text"
  # shellcheck disable=SC2015
  [ "$(wc -w <<< "$text")" -ge 3 ] && [ ${#text} -le 400 ] \
    || fail "no clear sentence from $*: $text"
  ! grep -qE 'terminate called|what\(\)|std::|Traceback|Assertion|0x[0-9a-f]{6}' <<< "$text" \
    || fail "words for programmers in the message of $*: $text"
}

# free_port   prints a TCP port on which nothing listens, a different one at every call in this test.
# It is below the ephemeral range, so that no outgoing connection takes it.
free_port() {
  local port try
  for try in {1..200}; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    grep -qsx "$port" "$WORK/.ports" && continue
    [ -z "$(ss -Htln "sport = :$port")" ] || continue
    echo "$port" | tee -a "$WORK/.ports"
    return
  done
  fail "no free port found after $try tries"
}

# sha256_of FILE   prints only the checksum.
sha256_of() {
  local sum
  sum=$(sha256sum < "$1")
  echo "${sum%% *}"
}

# json FILTER   reads JSON, prints what the jq filter selects, strings without quotes.
json() {
  jq -r "$1"
}

# COMMAND | has GREP-ARGUMENT...   whether a line matches. Unlike grep -q it reads to the end: a command
# whose reader is gone dies of SIGPIPE, and under pipefail that looks like "no match".
has() {
  [ "$(grep -c "$@")" -gt 0 ]
}

# ---- background programs

# start_background NAME COMMAND...   runs a program (not a shell function) with its output appended
# to $WORK/NAME.log and its pid in $WORK/NAME.pid; it ends with the test at the latest.
start_background() {
  local name=$1
  shift
  [ "$BASH_SUBSHELL" -eq 0 ] || fail "start_background $name in a subshell"
  ! background_alive "$name" || fail "$name is already running"
  "$@" >> "$WORK/$name.log" 2>&1 < /dev/null &
  _background[$name]=$!
  echo $! > "$WORK/$name.pid"
  on_exit stop_background "$name"
}

# background_pid NAME   prints the program's process id.
background_pid() {
  [ -n "${_background[$1]:-}" ] || fail "nothing was started as $1"
  echo "${_background[$1]}"
}

# background_alive NAME   is true while the program runs.
background_alive() {
  # The shell's own job list: the process id may already have been reused by another program.
  [ -n "${_background[$1]:-}" ] && jobs -rp | has -x "${_background[$1]}"
}

# stop_background NAME [SIGNAL]   ends the program (default: TERM, and KILL after 10 s) and waits
# for it to end.
stop_background() {
  local pid try
  ! background_alive "$1" && return
  pid=${_background[$1]}
  kill -s "${2:-TERM}" "$pid" || true
  for try in {1..100}; do
    background_alive "$1" || break
    [ "$try" -lt 100 ] || kill -s KILL "$pid"
    sleep 0.1
  done
  wait "$pid" 2> /dev/null || true
}

# ---- libvirt

# start_libvirt NAME   starts a separate libvirt host for this test, independent of any other (see
# private-libvirt). Its address is libvirt_uri NAME, its log $WORK/libvirt-NAME.log.
start_libvirt() {
  require_root
  require_commands virsh libvirtd virtlogd qemu-system-x86_64
  local dir=$WORK/libvirt-$1 kept=$CACHE/libvirt-capabilities uri
  uri=$(libvirt_uri "$1")
  # libvirtd asks every QEMU for its capabilities, which takes seconds; it caches the answers, and
  # checks their age.
  mkdir -p "$dir/cache/qemu/capabilities"
  cp -p "$kept"/*.xml "$dir/cache/qemu/capabilities/" 2> /dev/null || true
  # In a separate session, so that a signal to the test's process group does not end it before the
  # test does.
  start_background "libvirt-$1" setsid "$SOURCE/tests/system/private-libvirt" "$dir"
  on_exit _remove_networks "$uri"
  wait_until 60 "libvirt host $1 answers" _libvirt_answers "$1" "$uri"
  mkdir -p "$kept"
  cp -p --update "$dir"/cache/qemu/capabilities/*.xml "$kept/" 2> /dev/null || true
}

# Bridges and firewall rules belong to the machine, and outlive a libvirt host that is killed.
_remove_networks() {
  local name
  for name in $(timeout -s KILL 20 virsh -c "$1" net-list --name | grep "${2:-}"); do
    timeout -s KILL 20 virsh -c "$1" net-destroy "$name"
  done
}

_libvirt_answers() {
  if ! background_alive "libvirt-$1"; then
    tail -n 1 "$WORK/libvirt-$1.log"
    return 99
  fi
  virsh -c "$2" version
}

# libvirt_uri NAME   prints the address of a host started by start_libvirt (ensure_libvirt: main).
libvirt_uri() {
  echo "qemu:///system?socket=$WORK/libvirt-$1/run/libvirt-sock"
}

# kill_libvirtd NAME [SIGNAL]   ends the libvirtd (default: KILL) of a host, but not its machines, and
# returns when the libvirtd that replaces it answers.
kill_libvirtd() {
  local pid init
  pid=$(< "$WORK/libvirt-$1/run/libvirtd.pid")
  # The chain of private-libvirt: supervisor, unshare, the first process inside.
  init=$(pgrep -P "$(pgrep -P "$(background_pid "libvirt-$1")")")
  rm -f "$WORK/libvirt-$1/run/libvirtd.pid"
  nsenter --target "$init" --mount --pid kill -s "${2:-KILL}" "$pid"
  wait_until 30 "a new libvirtd of host $1" test -s "$WORK/libvirt-$1/run/libvirtd.pid"
  wait_until 30 "libvirt host $1 answers" virsh -c "$(libvirt_uri "$1")" version
}

# ensure_libvirt   makes a libvirt reachable at the exported LIBVIRT_DEFAULT_URI: a separate host for
# this test, so that results do not depend on what runs on the machine. MULETTO_LIBVIRT_URI names
# another one to use.
ensure_libvirt() {
  if [ -n "${MULETTO_LIBVIRT_URI:-}" ]; then
    export LIBVIRT_DEFAULT_URI=$MULETTO_LIBVIRT_URI
    virsh version > /dev/null || fail "no libvirt at $MULETTO_LIBVIRT_URI"
    on_exit _remove_networks "$LIBVIRT_DEFAULT_URI" '^muletto-'
    return
  fi
  [ -n "${_background[libvirt-main]:-}" ] || start_libvirt main
  LIBVIRT_DEFAULT_URI=$(libvirt_uri main)
  export LIBVIRT_DEFAULT_URI
}

# ensure_network NAME   creates a NAT network with DHCP until the end of the test, in an unused
# subnet. Skips the test with the reason if this machine cannot have one.
ensure_network() {
  local name=$1 try subnet error
  command -v dnsmasq > /dev/null || skip "no NAT network here: dnsmasq is missing"
  command -v iptables > /dev/null || skip "no NAT network here: iptables is missing"
  for try in {1..10}; do
    subnet=192.168.$((100 + RANDOM % 150))
    ! ip -4 route list match $subnet.1 | has -v ^default || continue
    # libvirt refuses a subnet that has come into use in the meantime: then try the next one.
    if error=$(virsh net-create /dev/stdin 2>&1 <<XML
<network>
  <name>$name</name>
  <forward mode='nat'/>
  <bridge name='mul$(printf %04x $RANDOM)' stp='off' delay='0'/>
  <ip address='$subnet.1' netmask='255.255.255.0'>
    <dhcp><range start='$subnet.2' end='$subnet.254'/></dhcp>
  </ip>
</network>
XML
    ); then
      on_exit timeout -s KILL 20 virsh -c "$LIBVIRT_DEFAULT_URI" net-destroy "$name"
      return
    fi
    [[ $error != *"already exists with"* ]] || fail "network $name: $error"
  done
  skip "no NAT network here: ${error:-no free subnet} ($try tries)"
}

# ---- the appliance and agents

declare -A _appliance_ports=()

# record_api [--all-but OPERATION,...]   records what is asked at $MULETTO_SOCKET of the appliances that
# are started afterwards, and compares their answers with docs/api/openapi.yaml when the test has passed.
# An answer that is not as described fails the test. With --all-but, so does every operation that never
# succeeded and is not named.
record_api() {
  /usr/bin/python3 -c 'import jsonschema, yaml' 2> /dev/null \
    || fail "python3-jsonschema and python3-yaml are not installed"
  _recording=$WORK/api-recording
  : > "$_recording"
  _compare=("$@")
}

# Puts a recorder between the appliance's socket and the users of MULETTO_SOCKET.
_start_recorder() {
  local folder=$WORK/$1.recorder
  mkdir -p "$folder"
  ln -sfn "$(appliance_run "$1")/mulettod.json" "$folder/mulettod.json"
  MULETTO_SOCKET=$folder/api.sock
  background_alive "$1.recorder" && return
  start_background "$1.recorder" "$SOURCE/tests/tools/api-recorder" "$folder/api.sock" \
    "$(appliance_run "$1")/api.sock" "$_recording"
  wait_until 10 "the recorder of $1 listens" test -S "$folder/api.sock"
}

# start_appliance [--name NAME] [OPTION...]   starts mulettod and returns when it is ready. Its state is
# in $WORK/state, its sockets in $WORK/run. It listens on 127.0.0.1 on a port that stays the same for the
# whole test, as a customer's does: after a restart it must be able to bind that port again. Other options
# are passed to mulettod. Several appliances have names: NAME's folders are $WORK/NAME.state and
# $WORK/NAME.run. MULETTO_SOCKET, which muletto uses, is set to the one that was started last.
start_appliance() {
  local name=mulettod
  if [ "${1:-}" = --name ]; then
    name=$2
    shift 2
  fi
  [ -n "${_appliance_ports[$name]:-}" ] || _appliance_ports[$name]=$(free_port)
  export MULETTO_SOCKET
  MULETTO_SOCKET=$(appliance_run "$name")/api.sock
  [ -z "$_recording" ] || _start_recorder "$name"
  if [ -n "${LIBVIRT_DEFAULT_URI:-}" ] && [ -z "${_background[$name]:-}" ]; then
    on_exit _remove_instant_vms "$LIBVIRT_DEFAULT_URI"
  fi
  start_background "$name" mulettod --state-directory "$(appliance_state "$name")" \
    --run-directory "$(appliance_run "$name")" --listen "127.0.0.1:${_appliance_ports[$name]}" "$@"
  wait_until 30 "$name is ready" _appliance_is_ready "$name"
}

# appliance_state [NAME], appliance_run [NAME]   print its folders; appliance_address [NAME] prints its
# HOST:PORT; appliance_fingerprint [NAME] prints its authority's fingerprint.
appliance_state() {
  local name=${1:-mulettod}
  if [ "$name" = mulettod ]; then echo "$WORK/state"; else echo "$WORK/$name.state"; fi
}
appliance_run() {
  local name=${1:-mulettod}
  if [ "$name" = mulettod ]; then echo "$WORK/run"; else echo "$WORK/$name.run"; fi
}
appliance_address() {
  echo "127.0.0.1:${_appliance_ports[${1:-mulettod}]}"
}
appliance_fingerprint() {
  json .fingerprint < "$(appliance_run "${1:-mulettod}")/mulettod.json"
}

# A killed daemon leaves its mulettod.json behind; the pid shows whose it is.
_appliance_is_ready() {
  if ! background_alive "$1"; then
    tail -n 1 "$WORK/$1.log"
    return 99
  fi
  [ "$(json .pid < "$(appliance_run "$1")/mulettod.json")" = "$(background_pid "$1")" ]
}

_remove_instant_vms() {
  local name
  for name in $(timeout -s KILL 20 virsh -c "$1" list --all --name | grep '^muletto-'); do
    timeout -s KILL 20 virsh -c "$1" destroy "$name"
  done
}

# write_agent_config NAME MACHINE=IMAGE...   writes $WORK/NAME.toml: an agent without libvirt, with the
# folders $WORK/NAME and $WORK/NAME.run, and machines whose only disk, vda, is that raw image.
write_agent_config() {
  local name=$1 machine
  shift
  {
    echo "libvirt_uri = \"qemu:///system?socket=$WORK/no-libvirt\""
    echo "state_directory = \"$WORK/$name\""
    echo "run_directory = \"$WORK/$name.run\""
    for machine; do
      printf '[machines.%s]\nimages = { vda = "%s" }\nimage_format = "raw"\n' "${machine%%=*}" "${machine#*=}"
    done
  } > "$WORK/$name.toml"
}

# enroll_agent HOST [OPTION...]   enrols an agent under that name at the appliance that was started last.
# Options are those of muletto-agent enroll, such as --config FILE or --state-directory DIR.
enroll_agent() {
  local host=$1 run=${MULETTO_SOCKET%/api.sock} token
  shift
  token=$(muletto token create --output json | json .token.token)
  muletto-agent enroll "127.0.0.1:$(json .port < "$run/mulettod.json")" --token "$token" \
    --fingerprint "$(json .fingerprint < "$run/mulettod.json")" --name "$host" "$@"
}

# ---- guests

# build_guest NAME [OPTION...]   builds $WORK/NAME.qcow2 with host name NAME; the options are those of
# build-guest.
build_guest() {
  local name=$1
  shift
  "$SOURCE/tests/guests/build-guest" "$WORK/$name.img" --hostname "$name" "$@"
  qemu-img convert -O qcow2 "$WORK/$name.img" "$WORK/$name.qcow2"
  rm "$WORK/$name.img"
}

# define_guest NAME IMAGE [--uefi] [--network NET | --user-net | --no-net]
#              [--bus virtio|scsi|ide|nvme] [--memory MiB]
# Defines and starts an emulated machine: guest agent channel, serial line to $WORK/NAME.serial.log,
# VNC on a free port of 127.0.0.1, user-mode network unless an option says otherwise. libvirt 9 has no
# NVMe disks: such a disk is passed to QEMU directly and is not in the domain's XML. The end of the
# test removes the machine, but not IMAGE.
define_guest() {
  local name=$1 image format firmware=bios bus=virtio memory=256 net='type="user"'
  image=$(readlink -f "$2")
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      --uefi) firmware=uefi ;;
      --user-net) net='type="user"' ;;
      --no-net) net= ;;
      --network) net="type='network'><source network='$2'/" && shift ;;
      --bus) bus=$2 && shift ;;
      --memory) memory=$2 && shift ;;
      *) fail "define_guest: unknown option $1" ;;
    esac
    shift
  done
  format=$(qemu-img info -U --output json "$image" | json .format)
  _guest_xml > "$WORK/$name.xml"
  virsh define "$WORK/$name.xml" > /dev/null
  on_exit remove_guest "$name" "$LIBVIRT_DEFAULT_URI"
  virsh start "$name" > /dev/null
}

# Prints the domain, using define_guest's variables.
_guest_xml() {
  # Debian's cloud kernel supports the IDE of the old machine type, but not the AHCI of the new one.
  local machine=pc os='' disk='' commandline='' target
  if [ "$firmware" = uefi ]; then
    [ "$bus" = ide ] || machine=q35
    os="<firmware><feature enabled='no' name='secure-boot'/></firmware>"
    os+="<nvram>$WORK/$name.nvram</nvram>"
  fi
  case $bus in
    virtio) target=vda ;;
    scsi) target=sda disk="<controller type='scsi' model='virtio-scsi'/>" ;;
    ide) target=hda ;;
    nvme)
      # libvirt gives QEMU's user only the files it knows of, and leaves slot 0x10 free.
      chown libvirt-qemu "$image"
      commandline="<qemu:commandline>
    <qemu:arg value='-drive'/><qemu:arg value='file=$image,format=$format,if=none,id=nvme0'/>
    <qemu:arg value='-device'/>
    <qemu:arg value='nvme,drive=nvme0,serial=muletto,addr=0x10,bootindex=1'/>
  </qemu:commandline>"
      ;;
    *) fail "define_guest: no disk bus $bus" ;;
  esac
  if [ "$bus" != nvme ]; then
    disk+="<disk type='file' device='disk'>
      <driver name='qemu' type='$format' discard='unmap'/>
      <source file='$image'/><target dev='$target' bus='$bus'/>
    </disk>"
  fi
  cat <<XML
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$name</name>
  <memory unit='MiB'>$memory</memory>
  <vcpu>1</vcpu>
  <os$([ "$firmware" = bios ] || echo " firmware='efi'")>
    <type arch='x86_64' machine='$machine'>hvm</type>$os
    $([ "$bus" = nvme ] || echo "<boot dev='hd'/>")
  </os>
  <features><acpi/><tcg><tb-cache unit='MiB'>128</tb-cache></tcg></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
  <devices>
    $disk
    ${net:+<interface $net><model type='virtio'/></interface>}
    <serial type='file'><source path='$WORK/$name.serial.log'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
    <video><model type='vga'/></video>
  </devices>
  $commandline
</domain>
XML
}

# remove_guest NAME [URI]   destroys and undefines a machine with everything libvirt stores about it.
remove_guest() {
  local uri=${2:-$LIBVIRT_DEFAULT_URI}
  timeout -s KILL 20 virsh -c "$uri" destroy "$1" > /dev/null 2>&1 || true
  timeout -s KILL 20 virsh -c "$uri" undefine "$1" --nvram --managed-save \
    --checkpoints-metadata --snapshots-metadata > /dev/null
}

# guest_state NAME   prints the state as libvirt names it: running, paused, shut off, ...
guest_state() {
  virsh domstate "$1" | sed -n 1p
}

# wait_guest_state NAME STATE SECONDS
wait_guest_state() {
  wait_until "$3" "$1 is $2" _guest_state_is "$1" "$2"
}

_guest_state_is() {
  local state
  state=$(guest_state "$1")
  echo "$state"
  [ "$state" = "$2" ]
}

# guest_endpoint NAME [PORT]   prints ADDRESS:PORT at which the guest's TCP port (80) is reached
# from here, for any running domain: on a network its leased address; on a user-mode network a port
# of 127.0.0.1 that is forwarded to it. Fails while there is no address. A forwarded port accepts
# connections before the guest listens.
guest_endpoint() {
  local name=$1 port=${2:-80} source address
  if virsh domiflist "$name" | awk '$2 == "user" { found = 1 } END { exit !found }'; then
    _forwarded_endpoint "$name" "$port"
    return
  fi
  for source in lease arp; do
    address=$(virsh domifaddr "$name" --source $source 2> /dev/null \
      | awk '$3 == "ipv4" && !found++ { sub("/.*", "", $4); print $4 }') || true
    if [ -n "$address" ]; then
      echo "$address:$port"
      return
    fi
  done
  echo "$name has no address yet" >&2
  return 1
}

# QEMU itself knows what it forwards, in lines
# "TCP[HOST_FORWARD] fd 127.0.0.1 PORT ADDRESS GUEST_PORT ..."
_forwarded_endpoint() {
  local name=$1 port=$2 forwards host_port netdev error
  forwards=$(virsh qemu-monitor-command "$name" --hmp 'info usernet')
  host_port=$(awk -v port="$port" '/HOST_FORWARD/ && $6 == port && !found++ { print $4 }' \
    <<< "$forwards")
  if [ -z "$host_port" ]; then
    netdev=$(sed -nE 's/^Hub [^(]*\((.*)\):.*/\1/p' <<< "$forwards" | sed -n 1p)
    host_port=$(free_port)
    error=$(virsh qemu-monitor-command "$name" --hmp \
      "hostfwd_add $netdev tcp:127.0.0.1:$host_port-:$port" | tr -d '\r\n')
    if [ -n "$error" ]; then
      echo "$name: $error" >&2
      return 1
    fi
  fi
  echo "127.0.0.1:$host_port"
}

# guest_http NAME PATH [SECONDS]   prints the answer of the guest's web server within that time
# (60 s).
guest_http() {
  local endpoint
  endpoint=$(guest_endpoint "$1") || return 1
  curl -fsS --noproxy '*' --max-time "${3:-60}" "http://$endpoint$2"
}

# wait_guest_http NAME SECONDS   waits until its web server has answered.
wait_guest_http() {
  wait_until "$2" "the web server of $1 answers" guest_http "$1" / 3
}

# guest_agent NAME COMMAND [ARGUMENTS]   sends a command to the guest agent and prints what it
# returns (JSON).
guest_agent() {
  virsh qemu-agent-command "$1" --timeout 30 "{\"execute\":\"$2\"${3:+,\"arguments\":$3}}" \
    | jq -c .return
}

# guest_agent_ready NAME SECONDS   waits until the guest agent answers.
guest_agent_ready() {
  wait_until "$2" "the guest agent of $1 answers" \
    virsh qemu-agent-command "$1" --timeout 3 '{"execute":"guest-ping"}'
}

# screenshot NAME OUT.png   saves what the guest's screen shows now. libvirt returns PPM or PNG; the
# result is always PNG.
screenshot() {
  require_commands convert
  virsh screenshot "$1" "$2.tmp" > /dev/null
  convert "$2.tmp" "png:$2"
  rm "$2.tmp"
}
