#!/usr/bin/env bash
# timeout: 900
# A running instant VM is protected: its syncs continue the machine's timeline, incrementally from the first, also
# after QEMU was killed and from an older point; the old host is refused meanwhile; each point is compared byte for
# byte with the VM's own disk.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto muletto-agent muletto-restore nbdkit-muletto-plugin.so
ensure_libvirt

state=$WORK/state run=$WORK/run
start_appliance --log-level debug

# ---- production: two points of a machine, then its end
cat > "$WORK/agent.toml" <<TOML
libvirt_uri = "$LIBVIRT_DEFAULT_URI"
state_directory = "$WORK/agent"
run_directory = "$WORK/agent.run"
TOML
agent() {
  muletto-agent "$@" --config "$WORK/agent.toml"
}
expect_failure 2 "appliance's own" enroll_agent "(appliance)" --config "$WORK/agent.toml"
enroll_agent old-server --config "$WORK/agent.toml"
build_guest acc
define_guest acc "$WORK/acc.qcow2" --user-net
wait_guest_http acc 120
agent sync acc > /dev/null
first=$(muletto machine show acc -o json | json .machine.latest_point.id)
guest_http acc '/cgi-bin/write?monday:200' > /dev/null
agent sync acc > /dev/null
second=$(muletto machine show acc -o json | json .machine.latest_point.id)
virsh destroy acc > /dev/null

# newest FILTER   of the machine's newest point.
newest() {
  muletto point show acc@latest -o json | json ".point$1"
}
# The point is what the VM's disk is: the VM is paused before the sync and switched off after it.
same_as_vm() {
  local overlay socket=$WORK/judge.sock
  overlay=$(muletto boot show "$boot" -o json | json '.boot.disks[0].overlay_path')
  start_background judge muletto store serve "$state/stores/default" "$1" --disk vda --socket "$socket"
  wait_until 20 "the booted point is served" test -S "$socket"
  cp --sparse=always "$overlay" "$WORK/vm.qcow2"
  qemu-img rebase -u -f qcow2 -F raw -b "nbd+unix:///vda?socket=$socket" "$WORK/vm.qcow2"
  qemu-img convert -O raw "$WORK/vm.qcow2" "$WORK/vm.raw"
  stop_background judge
  rm -f "$WORK/point.raw"
  muletto-restore disk --store "$state/stores/default" acc@latest --disk vda --to "$WORK/point.raw" > /dev/null
  cmp "$WORK/vm.raw" "$WORK/point.raw" || fail "the point is not what the VM had"
}
page() {  # page TEXT   changes what the VM serves
  curl -sf -m 60 "http://$address/cgi-bin/page?$1" > /dev/null
}
start() {  # start POINT [OPTION...]
  muletto boot start "$@" --memory 256M --cpus 1 --network nat --wait --http / --timeout 4m -o json > "$WORK/boot.json"
  boot=$(json .boot.id < "$WORK/boot.json")
  address=$(json '.boot.addresses[0]' < "$WORK/boot.json")
}
# synced [LIMIT]   a sync on order, which read at most so many bytes and says where the point is from.
synced() {
  muletto sync start acc --follow > "$WORK/sync.txt" || fail "no sync: $(cat "$WORK/sync.txt")"
  echo "read $(newest .figures.bytes_read) bytes: $(newest .note)"
  [[ $(newest .note) == *"instant VM $boot"* ]] || fail "the point does not say where it is from: $(newest .note)"
  [[ $(newest .note) != *"in full"* ]] || fail "it was read in full: $(newest .note)"
  [ "$(newest .figures.bytes_read)" -le "${1:-4000000}" ] || fail "it read $(newest .figures.bytes_read) bytes"
}

# ---- the instant VM: the first sync reads only what was written since its start
start acc@latest
page one
synced 8000000
[ "$(newest .consistency)" = file-system ] || fail "the guest was not frozen: $(newest .note)"
[ "$(muletto machine show acc -o json | json .machine.host)" = old-server ] || fail "the machine changed hands"
definition=$(muletto point show acc@latest -o json | json .point.definition)
[ "$(muletto point show "$second" -o json | json .point.definition)" = "$definition" ] \
  || fail "another definition: $definition"
page two
synced 4000000
# Who has seen the end of one may ask for the next at once.
muletto sync start acc --follow > /dev/null && muletto sync start acc --follow > /dev/null \
  || fail "a sync was refused after the end of another"

# ---- the old server comes back, and is refused
virsh start acc > /dev/null
wait_guest_http acc 120
expect_failure 4 "instant VM $boot" agent sync acc
virsh destroy acc > /dev/null
[ "$(muletto boot show "$boot" -o json | json .boot.timeline)" = instant ] || fail "no timeline"
second_boot=$(muletto boot start acc@latest --memory 256M --cpus 1 --network none --fresh-macs -o json | json .boot.id)
[ "$(muletto boot show "$second_boot" -o json | json .boot.timeline)" = production ] || fail "two hold the timeline"
expect_failure 4 "holds its timeline" muletto boot set "$second_boot" --timeline instant
muletto boot stop "$second_boot" --discard > /dev/null

# ---- QEMU is killed: tracking is found again from the overlay, and tells no lies
pid=$(pgrep -f "^[^ ]*qemu-system.*$state/vms/$boot")
kill -KILL "$pid"
restarted() {
  [ "$(muletto boot show "$boot" -o json | json .boot.restart_count)" = 1 ]
}
wait_until 60 "it is started again" restarted
muletto boot wait "$boot" --http / --timeout 4m > /dev/null
curl -sf -m 60 "http://$address/" | has two || fail "what was written is gone"
page three
muletto boot power "$boot" pause > /dev/null
synced 16000000
muletto boot power "$boot" power-off > /dev/null
same_as_vm "$second"
expect_failure 6 "is not running" muletto sync start acc

# ---- an older point is booted: the next point is relative to that one, and continues it
expect_failure 2 "keep or --discard" muletto boot stop "$boot" < /dev/null
muletto boot stop "$boot" --discard > /dev/null
start "$first" --restart wait
! curl -sf -m 60 "http://$address/cgi-bin/sum" | has monday || fail "the wrong point"
page older
muletto boot power "$boot" pause > /dev/null
synced 16000000
[[ $(newest .note) == *"booted from the point $first"* ]] || fail "not relative to the older point: $(newest .note)"
muletto boot power "$boot" power-off > /dev/null
same_as_vm "$first"

# ---- a VM that is to wait does; an operator may let the old server continue
muletto boot power "$boot" power-on > /dev/null
muletto boot set "$boot" --timeline production > /dev/null
virsh start acc > /dev/null
wait_guest_http acc 120
agent sync acc > /dev/null || fail "the old server is refused still"
muletto machine show acc -o json | json .machine.point_count | has -x 9 || fail "points are missing"
pid=$(pgrep -f "^[^ ]*qemu-system.*$state/vms/$boot")
kill -KILL "$pid"
waits() {
  muletto boot list | has "waits to be powered on"
}
wait_until 20 "the VM waits" waits
has_alert() {
  muletto alert list | has instant-vm-down
}
wait_until 20 "there is an alert" has_alert
muletto boot stop "$boot" --yes > /dev/null
virsh list --all --name > "$WORK/defined"
! grep muletto- "$WORK/defined" || fail "a definition is left"
muletto tenant check --deep > "$WORK/check" || fail "the store is not whole: $(cat "$WORK/check")"
