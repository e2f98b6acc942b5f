#!/usr/bin/env bash
# timeout: 400
# alone
# What is found out before a start, and who meets whom: damaged images, missing bridges and memory are refused with
# reasons; two machines of one identity never share a network; two recoveries in isolated networks do not see each
# other, nor the world.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq nbdkit virsh ip ping python3
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt

state=$WORK/state run=$WORK/run
isolated_bridges() { find /sys/class/net -maxdepth 1 -name 'muli*' | sort; }
others=$(isolated_bridges)

mkdir -p "$state/stores"
store=$state/stores/default
muletto store init "$store"
for name in alpha beta; do
  "$SOURCE/tests/guests/build-guest" "$WORK/$name.img" --hostname $name
  muletto store import "$store" --machine $name --disk "vda=$WORK/$name.img" --format raw
done
# A machine whose MAC address is in its point; it never runs.
mac=52:54:00:0d:e1:7a
qemu-img create -q -f raw "$WORK/delta.img" 1M
virsh define /dev/stdin > /dev/null << XML
<domain type='qemu'><name>delta</name><memory unit='MiB'>64</memory><os><type machine='pc'>hvm</type></os>
  <devices><disk type='file'><driver name='qemu' type='raw'/><source file='$WORK/delta.img'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><mac address='$mac'/><model type='virtio'/></interface></devices></domain>
XML
on_exit remove_guest delta "$LIBVIRT_DEFAULT_URI"
muletto-agent sync delta --store "$store" --state-directory "$WORK/agent" --run-directory "$WORK/agent-run" \
  --libvirt-uri "$LIBVIRT_DEFAULT_URI" --quiet
# One whose first chunks are damaged: the pack that is new. They are all it has, one batch: several lie in the pack in
# the order in which their workers ended.
touch "$WORK/before-hurt"
head -c 1M /dev/urandom > "$WORK/hurt.img"
truncate -s 3M "$WORK/hurt.img"
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$WORK/hurt.img"
muletto store import "$store" --machine hurt --disk "vda=$WORK/hurt.img" --format raw
for pack in $(find "$store/packs" -newer "$WORK/before-hurt" -type f -size +1M); do
  dd if=/dev/zero of="$pack" bs=1k seek=16 count=256 conv=notrunc status=none
done
# And one that is damaged where no boot looks first.
touch "$WORK/before-torn"
qemu-img create -q -f raw "$WORK/torn.img" 64M
head -c 3M /dev/urandom | dd of="$WORK/torn.img" bs=1M seek=40 conv=notrunc status=none
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$WORK/torn.img"
muletto store import "$store" --machine torn --disk "vda=$WORK/torn.img" --format raw
for pack in $(find "$store/packs" -newer "$WORK/before-torn" -type f -size +1M); do
  dd if=/dev/zero of="$pack" bs=1k seek=1500 count=1 conv=notrunc status=none
done
start_appliance
muletto tenant adopt default > /dev/null

# reasons POINT REGEX OPTION...   a check that says no, for that reason; a start is refused with the same.
reasons() {
  local point=$1 regex=$2 refused=2 status=0
  [[ $regex != *damaged* ]] || refused=8
  shift 2
  muletto boot check "$point" "$@" -o json > "$WORK/check.json" || status=$?
  [ $status -eq 2 ] || fail "boot check $point $*: exit code $status: $(cat "$WORK/check.json")"
  json '.check.reasons | join("; ")' < "$WORK/check.json" | has -E "$regex" || fail "no '$regex': $(cat "$WORK/check.json")"
  status=0
  muletto boot start "$point" "$@" > "$WORK/out" 2>&1 || status=$?
  [ $status -eq $refused ] && grep -qE "$regex" "$WORK/out" || fail "boot start $point $*: $status: $(cat "$WORK/out")"
}

echo "refused before the start, with reasons"
reasons hurt@latest "image of its disk vda is damaged.*choose another point"
muletto boot check torn@latest > /dev/null
expect_failure 8 "2 points are damaged" muletto tenant check
[ "$(muletto point list | grep -cE '^[0-9a-f]+ +(hurt|torn) .*DAMAGED$')" = 2 ] || fail "not marked: $(muletto point list)"
wait_until 10 "an alert" sh -c "muletto alert list | grep -q 'points-damaged.*2 damaged points'"
reasons torn@latest "check of the store found its image damaged at .*choose another point.*--accept-damage"
status=0
muletto verify start torn@latest > "$WORK/out" || status=$?
[ $status -eq 20 ] && grep -q "found its image damaged" "$WORK/out" || fail "a test boot of it: $status: $(cat "$WORK/out")"
muletto boot check torn@latest --memory 64M --accept-damage | has "found its image damaged" || fail "nothing is noted"
torn=$(muletto boot start torn@latest --accept-damage --memory 64M -o json | json .boot.id)
muletto boot stop "$torn" --discard --yes > /dev/null
reasons alpha@latest "no bridge 'nowhere0'" --network bridge:nowhere0
reasons alpha@latest "4.0 TiB of memory" --memory 4T
reasons alpha@latest "500 CPUs" --cpus 500
reasons alpha@latest "no bridge 'nowhere0'.*memory|memory.*no bridge 'nowhere0'" --memory 4T --network bridge:nowhere0
expect_failure 2 "isolated:NAME" muletto boot start alpha@latest --network nat:x
muletto boot check alpha@latest --memory 256M | has "Can be started.*yes"
[ "$(muletto boot list -o json | json '.boots | length')" = 0 ] || fail "a check or a refused start left something"

echo "the original is alive on the bridge"
bridge=mub$((RANDOM % 100000)) other=muo$((RANDOM % 100000))
ip link add "$bridge" type bridge
on_exit ip link delete "$bridge"
ip link add "$other" type veth peer name "${other}p"
on_exit ip link delete "$other"
ip link set "${other}p" master "$bridge"
for link in "$bridge" "$other" "${other}p"; do ip link set "$link" up; done
muletto boot check delta@latest --memory 64M --network "bridge:$bridge" > /dev/null
python3 - "$other" "$mac" << 'PY'
import socket, sys
frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
frames.bind((sys.argv[1], 0))
frames.send(b"\xff" * 6 + bytes.fromhex(sys.argv[2].replace(":", "")) + b"\x88\xb5" + bytes(46))
PY
reasons delta@latest "was seen on bridge $bridge.*original seems to be alive" --memory 64M --network "bridge:$bridge"
muletto boot check delta@latest --memory 64M --network "bridge:$bridge" --fresh-macs > /dev/null

echo "the original is alive and silent"
ip netns add "$other"
on_exit ip netns delete "$other"
ip link set "$other" netns "$other"
ip -n "$other" link set "$other" address "$mac"
ip -n "$other" link set "$other" up
_has_address() { ip -n "$other" -6 address show dev "$other" scope link | has 'inet6 fe80.*' && ! ip -n "$other" -6 address show dev "$other" | has tentative; }
wait_until 10 "the original has its address" _has_address
# What it says by itself about its new address is forgotten.
bridge fdb del "$mac" dev "${other}p" master || true
reasons delta@latest "was seen on bridge $bridge.*original seems to be alive" --memory 64M --network "bridge:$bridge"
ip -n "$other" link set "$other" down
bridge fdb del "$mac" dev "${other}p" master || true
muletto boot check delta@latest --memory 64M --network "bridge:$bridge" > /dev/null

echo "two recoveries, side by side"
start() { muletto boot start "$1@latest" --memory 192M --cpus 1 --network "$2" -o json | json .boot.id; }
alpha=$(start alpha isolated)
beta=$(start beta isolated)
alpha2=$(start alpha isolated:drill)
reasons alpha@latest "same machine is on network muletto-isolated already.*$alpha.*--fresh-macs" --memory 192M
muletto boot check alpha@latest --memory 192M --fresh-macs > /dev/null
muletto boot check alpha@latest --memory 192M --network isolated:third > /dev/null
gamma=$(start beta nat)
for vm in $alpha $beta $alpha2 $gamma; do
  muletto boot wait "$vm" --http / --timeout 4m > /dev/null
done
address() { muletto boot show "$1" -o json | json '.boot.addresses[0]'; }
domain() { muletto boot show "$1" -o json | json .boot.domain; }
# reaches VM ADDRESS   the address answers the guest within some seconds.
reaches() {
  local pid status
  pid=$(guest_agent "$(domain "$1")" guest-exec \
    "{\"path\":\"/bin/ping\",\"arg\":[\"-c\",\"2\",\"-W\",\"4\",\"$2\"]}" | json .pid)
  wait_until 30 "a command in $1 ended" _ended "$(domain "$1")" "$pid"
  status=$(json .exitcode < "$WORK/exec")
  [ "$status" = 0 ]
}
# The agent tells the end of a command once.
_ended() {
  guest_agent "$1" guest-exec-status "{\"pid\":$2}" > "$WORK/exec"
  [ "$(json .exited < "$WORK/exec")" = true ]
}
# The world: behind a link of its own.
world=muw$((RANDOM % 100000))
ip netns add "$world"
on_exit ip netns delete "$world"
ip link add "$world" type veth peer name w0 netns "$world"
on_exit ip link delete "$world"
ip address add 198.51.100.1/24 dev "$world"
ip link set "$world" up
ip -n "$world" address add 198.51.100.2/24 dev w0
ip -n "$world" link set w0 up
ip -n "$world" route add default via 198.51.100.1
wait_until 10 "the world answers" ping -c 1 -W 1 198.51.100.2
reaches "$gamma" 198.51.100.2 || fail "the VM with NAT does not reach the world: the proof is worth nothing"
reaches "$alpha" "$(address "$beta")" || fail "VMs of one recovery do not see each other"
! reaches "$alpha2" "$(address "$beta")" || fail "VMs of two recoveries see each other"
! reaches "$alpha" "$(address "$alpha2")" || fail "VMs of two recoveries see each other"
host_of() { address "$1" | sed 's/[0-9]*$/1/'; }
reaches "$gamma" "$(host_of "$gamma")" || fail "the VM with NAT does not reach the host: the proof is worth nothing"
! reaches "$alpha" "$(host_of "$alpha")" || fail "an isolated VM reaches the appliance's address on its own network"
! reaches "$alpha" "$(host_of "$gamma")" || fail "an isolated VM reaches the appliance's address on another network"
! reaches "$alpha" 198.51.100.1 || fail "an isolated VM reaches the appliance's address in the world"
! reaches "$alpha" 198.51.100.2 || fail "an isolated VM reaches the world"
! reaches "$alpha" "$(address "$gamma")" || fail "an isolated VM reaches one with NAT"

echo "a VM that rests may not come back beside another of its identity"
muletto boot stop "$alpha" --keep > /dev/null
again=$(start alpha isolated)
expect_failure 4 "same machine is on network muletto-isolated already" muletto boot power "$alpha" power-on
for vm in $again $alpha $beta $alpha2 $gamma; do
  muletto boot stop "$vm" --discard --yes > /dev/null
done
# Isolated bridges that were there before, of another appliance on this machine, still need them.
if [ -z "$others" ]; then
  ! iptables -S | has MULETTO_ISOLATED || fail "the rules of isolated networks are left: $(iptables -S)"
fi
[ "$(isolated_bridges)" = "$others" ] || fail "an isolated bridge is left: $(isolated_bridges)"
! virsh net-list --name | has muletto-isolated || fail "an isolated network is left: $(virsh net-list)"
pass
