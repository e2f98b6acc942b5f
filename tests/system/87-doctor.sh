#!/usr/bin/env bash
# timeout: 500
# `muletto doctor` and `muletto-agent doctor` say what is wrong and what mends it, also when the daemon is down, and
# call nothing ok that they could not check: each thing is broken in turn.
. "$(dirname "$0")/lib.sh"

require_root
require_commands jq ip iptables unshare mount nbdkit qemu-img
require_programs mulettod muletto muletto-agent

uri="qemu:///system?socket=$WORK/no-libvirt"
state=$(appliance_state) run=$(appliance_run)
doctor() {  # doctor [OPTION...]: as JSON in $WORK/findings; its exit code is the result
  local status=0
  muletto doctor --state-directory "$state" --run-directory "$run" --libvirt-uri "$uri" -o json "$@" \
    > "$WORK/findings" || status=$?
  jq -e .findings "$WORK/findings" > /dev/null || fail "no findings"
  [ "$status" -eq "$(jq 'if .healthy then 0 else 1 end' "$WORK/findings")" ] || fail "exit code $status"
}
outcome() { jq -r --arg s "$1" '[.findings[] | select(.subject == $s) | .outcome] | unique | join(" ")' "$WORK/findings"; }
expect() {  # expect SUBJECT OUTCOME [REGEX]: and that a remedy is named unless all is well
  [[ " $(outcome "$1") " == *" $2 "* ]] || fail "$1 is '$(outcome "$1")', not $2: $(jq -c '.findings[] | select(.subject == "'"$1"'")' "$WORK/findings")"
  [ -z "${3:-}" ] || jq -r '.findings[] | select(.subject == "'"$1"'") | .found' "$WORK/findings" | has -E "$3" \
    || fail "$1 does not say '$3': $(jq -c . "$WORK/findings")"
  case $2 in
    fail) jq -e '[.findings[] | select(.subject == "'"$1"'" and .outcome == "fail")] | all(.remedy != null)' \
      "$WORK/findings" > /dev/null || fail "no remedy for $1" ;;
  esac
}

# ---- a machine without an appliance
doctor
for subject in settings mulettod KVM qemu-system-x86_64 qemu-img libvirt nbdkit tesseract "state folder" store \
  "free space" "disk speed" "shared disk" time clock names port firewall MTU certificates; do
  [ -n "$(outcome "$subject")" ] || fail "nothing is said about $subject"
done
expect mulettod fail "does not run"
expect libvirt fail "does not answer"
expect "shared disk" unknown "could not be checked"
expect nbdkit ok
expect "state folder" warn
muletto doctor --state-directory "$state" --run-directory "$run" --libvirt-uri "$uri" > "$WORK/text" && fail "exit code 0"
has -E '^fail +mulettod: ' < "$WORK/text"
has -E '^ +systemctl start mulettod' < "$WORK/text"

# ---- with one
start_appliance --libvirt-uri "$uri"
listen=(--listen "$(appliance_address)")
doctor "${listen[@]}"
expect mulettod ok
expect port ok "mulettod \(pid"
expect store ok
expect "authority's certificate" ok
expect "state folder" ok
stop_background mulettod
doctor "${listen[@]}"
expect mulettod fail
expect port ok "is free"

# ---- broken, one after the other
start_background listener python3 -c '
import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); time.sleep(200)' "${listen[1]##*:}"
port_is_taken() { [ -n "$(ss -Htln "sport = :${listen[1]##*:}")" ]; }
wait_until 20 "the port is taken" port_is_taken
doctor "${listen[@]}"
expect port fail "another program"
stop_background listener
mv "$state/stores/default/store" "$WORK/marker"
touch "$state/stores/default/store"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -days 3 \
  -out "$WORK/short.crt" 2> /dev/null
cp "$state/pki/server.crt" "$WORK/server.crt"
cp "$WORK/short.crt" "$state/pki/server.crt"
echo 'listen = 5' > "$WORK/bad.toml"
touch -d "+3 days" "$state/catalog.sqlite"
doctor --config "$WORK/bad.toml"
expect settings fail "line 1"
expect store fail "is no marker"
expect "server's certificate" warn "expires"
expect clock fail "was last changed at"
echo nonsense > "$state/pki/server.crt"
doctor
expect certificates unknown
touch "$state/catalog.sqlite"
cp "$WORK/server.crt" "$state/pki/server.crt"
cp "$WORK/marker" "$state/stores/default/store"

# Without nbdkit in PATH, and with programs that fail or hang.
mkdir "$WORK/path"
for program in /usr/bin/* /usr/sbin/* /bin/* "$BIN"/*; do
  case ${program##*/} in nbdkit | qemu-img | tesseract | iptables | nft) ;; *) ln -sf "$program" "$WORK/path/" ;; esac
done
printf '#!/bin/sh\necho broken >&2\nexit 3\n' > "$WORK/path/qemu-img"
printf '#!/bin/sh\nsleep 100\n' > "$WORK/path/tesseract"
chmod +x "$WORK/path/qemu-img" "$WORK/path/tesseract"
PATH=$WORK/path doctor
expect nbdkit fail "is not installed"
expect qemu-img fail "ends with 3"
expect tesseract unknown
expect firewall unknown "neither nft nor iptables"

# A full disk, a firewall that is shut, a network that is down: in namespaces.
mkdir "$WORK/small"
cat > "$WORK/apart" << 'SH'
set -eu
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=20M tmpfs "$WORK/small"
head -c 20300K /dev/zero > "$WORK/small/x" || true
ip link add v0 mtu 1500 type veth peer name v1
ip link add br0 mtu 1500 type bridge
ip link set v0 master br0
ip link set br0 mtu 9000 || true
ip link set v0 mtu 1400
ip link set v0 up; ip link set v1 up; ip link set br0 up mtu 1500
iptables -P INPUT DROP
muletto doctor --state-directory "$WORK/small" --run-directory "$WORK/run" --libvirt-uri "$1" -o json > "$WORK/findings" || true
SH
export WORK
unshare --mount --net bash "$WORK/apart" "$uri"
expect "free space" fail
expect "disk speed" unknown "too little space"
expect MTU warn "the bridge br0"
[ "$(outcome firewall)" = warn ] || [ "$(outcome firewall)" = unknown ] || fail "a shut firewall is $(outcome firewall)"

# ---- a host
head -c 1M /dev/urandom > "$WORK/disk.raw"
write_agent_config agent "web=$WORK/disk.raw"
host() {
  local status=0
  muletto-agent doctor --config "$WORK/agent.toml" -o json > "$WORK/findings" || status=$?
  [ "$status" -eq "$(jq 'if .healthy then 0 else 1 end' "$WORK/findings")" ] || fail "exit code $status"
}
host
expect enrolment warn
expect libvirt fail
expect "guest agent" unknown
start_appliance --libvirt-uri "$uri"
enroll_agent host --config "$WORK/agent.toml"
start_background agent muletto-agent run --config "$WORK/agent.toml"
in_contact() { muletto-agent status --config "$WORK/agent.toml" > /dev/null; }
wait_until 30 "the agent is in contact" in_contact
host
expect appliance ok
expect service ok
expect "host's certificate" ok
expect "path MTU" ok
stop_background agent
muletto host revoke host > /dev/null
host
expect appliance fail
stop_background mulettod
host
expect appliance fail
