#!/usr/bin/env bash
# A machine is restored to another libvirt host through its agent: defined, started, and its guest boots; its
# firmware's variables come with it; in place it is set back to a point, and what a hostile definition asks for is
# left out.
# timeout: 900
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-parse
require_commands jq qemu-storage-daemon
ensure_libvirt
start_libvirt other
other=$(libvirt_uri other)
start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI"

agent_of() {  # agent_of HOST URI
  mkdir -p "$WORK/$1.images" "$WORK/$1.nvram" "$WORK/$1.tpm"
  chmod 755 "$WORK" "$WORK/$1.images" "$WORK/$1.nvram"
  cat > "$WORK/$1.toml" <<TOML
libvirt_uri = "$2"
state_directory = "$WORK/$1"
run_directory = "$WORK/$1.run"
nvram_directory = "$WORK/$1.nvram"
tpm_directory = "$WORK/$1.tpm"
restore_directories = ["$WORK/$1.images"]
TOML
  enroll_agent "$1" --config "$WORK/$1.toml" > /dev/null
  start_background "$1" muletto-agent run --config "$WORK/$1.toml"
}
agent_of alpha "$LIBVIRT_DEFAULT_URI"
agent_of beta "$other"

build_guest shop --firmware uefi
define_guest shop "$WORK/shop.qcow2" --uefi --user-net
guest_agent_ready shop 300
guest_agent shop guest-exec '{"path":"/bin/sh","arg":["-c","echo first > /data/which; sync"]}' > /dev/null
sleep 3
muletto-agent sync shop --config "$WORK/alpha.toml" --quiet > /dev/null
point=$(muletto point list --machine shop -o json | json '.points[0].id')

echo "what stands in the way is said before anything is written"
expect_failure 1 "already" muletto restore to-host "$point" alpha --folder "$WORK/alpha.images" --define
[ -z "$(ls -A "$WORK/alpha.images")" ] || fail "something was written"

echo "to another host: defined, started, booted"
muletto restore to-host "$point" beta --folder "$WORK/beta.images" --define --start > "$WORK/log" || fail "$(cat "$WORK/log")"
on_exit remove_guest shop "$other"
for line in "defined as 'shop'" "with the machine's own variables" "'shop' is started"; do
  grep -F "$line" "$WORK/log" > /dev/null || fail "the log does not say \"$line\": $(cat "$WORK/log")"
done
virsh -c "$other" dumpxml shop > "$WORK/there.xml"
! grep -F "$WORK/shop" "$WORK/there.xml" > "$WORK/old" || fail "paths of the old host are left: $(cat "$WORK/old")"
[ -s "$WORK/beta.nvram/shop_VARS.fd" ] || fail "no UEFI variables"
LIBVIRT_DEFAULT_URI=$other guest_agent_ready shop 400
virsh -c "$other" shutdown shop --mode agent > /dev/null
LIBVIRT_DEFAULT_URI=$other wait_guest_state shop "shut off" 120

echo "in place: only differences travel, and the next sync is in full"
guest_agent shop guest-exec '{"path":"/bin/sh","arg":["-c","head -c 2000000 /dev/urandom > /data/more; sync"]}' > /dev/null
sleep 3
muletto-agent sync shop --config "$WORK/alpha.toml" --quiet > /dev/null
expect_failure 1 "running" muletto restore to-host "$point" alpha --in-place --overwrite shop
muletto restore to-host "$point" alpha --in-place --shut-down --overwrite shop -o json > "$WORK/job" || fail "$(cat "$WORK/job")"
[ "$(guest_state shop)" = "shut off" ] || fail "it was not shut down"
written=$(json .job.figures.written < "$WORK/job") received=$(json .job.figures.received < "$WORK/job")
[ "$written" -gt 0 ] && [ "$written" -lt $((64 << 20)) ] || fail "written: $(cat "$WORK/job")"
[ "$received" -lt $((written + (4 << 20))) ] || fail "received: $(cat "$WORK/job")"
muletto-restore disk --store "$WORK/state/stores/default" "$point" --disk vda --to "$WORK/point.raw" > /dev/null
qemu-img compare -q -f raw -F qcow2 "$WORK/point.raw" "$WORK/shop.qcow2" || fail "the disk is not the point's"
muletto-agent sync shop --config "$WORK/alpha.toml" -o json > "$WORK/result"
[ "$(json '[.disks[].incremental] | any' < "$WORK/result")" = false ] || fail "a bitmap was believed: $(cat "$WORK/result")"
virsh start shop > /dev/null
guest_agent_ready shop 400

echo "a network that is missing there is refused, or answered for"
virsh shutdown shop --mode agent > /dev/null
wait_guest_state shop "shut off" 120
virsh dumpxml shop --inactive | sed "s|<interface type='user'>|<interface type='bridge'><source bridge='nowhere0'/>|; s|</devices>|<filesystem type='mount'><source dir='/etc'/><target dir='x'/></filesystem><serial type='file'><source path='/etc/passwd'/></serial></devices>|" > "$WORK/hostile.xml"
virsh define "$WORK/hostile.xml" > /dev/null
muletto-agent sync shop --config "$WORK/alpha.toml" --quiet > /dev/null
expect_failure 1 "network 'bridge nowhere0' is not on this host" muletto restore to-host shop@latest beta \
  --folder "$WORK/beta.images" --define --name copy
[ ! -e "$WORK/beta.images/copy-vda.qcow2" ] || fail "something was written"
virsh -c "$other" net-define /dev/stdin <<< "<network><name>lonely</name><bridge name='mulq$RANDOM'/></network>" > /dev/null
muletto restore to-host shop@latest beta --folder "$WORK/beta.images" --define --name copy \
  --network "bridge nowhere0=lonely" > "$WORK/log" || fail "$(cat "$WORK/log")"
on_exit remove_guest copy "$other"
virsh -c "$other" dumpxml copy > "$WORK/there.xml"
! grep -E "/etc|nowhere0|<filesystem" "$WORK/there.xml" > "$WORK/old" || fail "taken over: $(cat "$WORK/old")"
grep "left out: device <filesystem>" "$WORK/log" > /dev/null || fail "not said: $(cat "$WORK/log")"
stop_background alpha
stop_background beta
pass
