#!/usr/bin/env bash
# A host without libvirt: QEMU started the way Proxmox VE starts it, captured through its monitor socket by its
# configuration, incrementally, and booted by the appliance. Other programs that use QEMU are left alone.
# timeout: 1500
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture-lib.sh"
RUN=$WORK/agent.run  # the appliance has $WORK/run

# The socket's client, for the test: qmp COMMAND [ARGUMENTS], agent COMMAND [ARGUMENTS], hold SECONDS.
cat > "$WORK/client.py" << 'PY'
import json, socket, sys, time
path, kind, command = sys.argv[1:4]
client = socket.socket(socket.AF_UNIX)
client.settimeout(60 if kind == "qmp" else 10)
client.connect(path)
lines = client.makefile("r")
def call(message):
    client.sendall((json.dumps(message) + "\n").encode())
    while True:
        answer = json.loads(lines.readline())
        if "event" not in answer:
            return answer
if kind == "qmp":
    lines.readline()
    call({"execute": "qmp_capabilities"})
if kind == "agent":
    number = int(time.time() * 1000) % 10**9
    client.sendall((json.dumps({"execute": "guest-sync", "arguments": {"id": number}}) + "\n").encode())
    while json.loads(lines.readline()).get("return") != number:
        pass
if command == "hold":
    time.sleep(float(sys.argv[4]))
    sys.exit()
message = {"execute": command}
if len(sys.argv) > 4:
    message["arguments"] = json.loads(sys.argv[4])
answer = call(message)
if "error" in answer:
    sys.exit(answer["error"]["desc"])
print(json.dumps(answer["return"]))
PY
qmp() { python3 "$WORK/client.py" "$WORK/101.qmp" qmp "$@"; }
guest() { python3 "$WORK/client.py" "$WORK/101.qga" agent "$@"; }

# As Proxmox VE 8 does (-drive) for the first disk, and as 9 does (-blockdev below a throttle) for the second.
launch_qemu() {
  background_alive swtpm || start_background swtpm swtpm socket --tpm2 --ctrl "type=unixio,path=$WORK/101.swtpm" \
    --tpmstate "backend-uri=file://$WORK/tpm.state"
  wait_until 10 "the TPM listens" test -S "$WORK/101.swtpm"
  start_background qemu qemu-system-x86_64 -name 'web,debug-threads=on' -no-shutdown \
    -chardev "socket,id=qmp,path=$WORK/101.qmp,server=on,wait=off" -mon chardev=qmp,mode=control \
    -chardev "socket,id=qmp-event,path=$WORK/qmeventd.sock,reconnect=5" -mon chardev=qmp-event,mode=control \
    -smbios type=1,uuid=7b10d7af-b932-4c66-b2c3-3996152ec465 \
    -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive "if=pflash,unit=1,id=drive-efidisk0,format=raw,file=$WORK/efidisk.raw" \
    -smp 1,sockets=1,cores=1,maxcpus=1 -nodefaults -boot menu=on,strict=on,reboot-timeout=1000 -vnc none -cpu qemu64 \
    -m 384 -object '{"id":"throttle-drive-virtio1","limits":{},"qom-type":"throttle-group"}' \
    -chardev "socket,path=$WORK/101.qga,server=on,wait=off,id=qga0" -device virtio-serial,id=qga0 \
    -device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0 \
    -chardev "socket,id=tpmchar,path=$WORK/101.swtpm" -tpmdev emulator,id=tpmdev,chardev=tpmchar \
    -device tpm-tis,tpmdev=tpmdev -serial "file:$WORK/web.serial.log" \
    -device virtio-scsi-pci,id=scsihw0 \
    -drive "file=$WORK/scsi0.raw,if=none,id=drive-scsi0,format=raw,cache=none,aio=threads,detect-zeroes=on" \
    -device scsi-hd,bus=scsihw0.0,channel=0,scsi-id=0,lun=0,drive=drive-scsi0,id=scsi0,bootindex=100 \
    -blockdev "{\"driver\":\"throttle\",\"node-name\":\"drive-virtio1\",\"throttle-group\":\"throttle-drive-virtio1\",\"file\":
      {\"driver\":\"qcow2\",\"node-name\":\"f1\",\"file\":{\"driver\":\"file\",\"filename\":\"$WORK/virtio1.qcow2\"}}}" \
    -device virtio-blk-pci,drive=drive-virtio1,id=virtio1 \
    -drive if=none,id=drive-ide2,media=cdrom -device ide-cd,bus=ide.1,unit=0,drive=drive-ide2,id=ide2 \
    -netdev user,id=net0,restrict=on -device virtio-net-pci,mac=BC:24:11:0A:0B:0C,netdev=net0,id=net0 \
    -machine type=q35,accel=tcg
}

# A guest that gets no processor for a while finds that its clock does not work, and says so; then once more.
start_qemu() {
  local try
  panicked() { grep -q "Kernel panic" "$WORK/web.serial.log"; }
  for try in 1 2 3; do
    : > "$WORK/web.serial.log"
    launch_qemu
    until panicked || guest guest-ping > /dev/null 2>&1; do sleep 1; done
    panicked || return 0
    stop_background qemu KILL
  done
  fail "the guest does not start"
}

in_guest() {
  local pid
  pid=$(guest guest-exec "$(jq -nc --arg c "$1" '{path: "/bin/sh", arg: ["-c", $c]}')" | json .pid)
  wait_until 90 "a command in the guest ended" _ended "$pid"
}
_ended() { [ "$(guest guest-exec-status "{\"pid\": $1}" | json .exited)" = true ]; }

change() {
  in_guest "head -c 300000 /dev/urandom > /data/second; dd if=/data/second of=/dev/vda bs=64K seek=$((RANDOM % 200)); sync"
}

# sync_web [OPTION...]   a sync of the paused machine, whose point must be what its images hold.
sync_web() {
  qmp stop > /dev/null
  agent_sync web --config "$WORK/agent.toml" --quiet "$@" > "$WORK/result" 2> "$WORK/result.err" \
    || fail "the sync failed: $(cat "$WORK/result.err")"
  local point
  point=$(json .point < "$WORK/result")
  point_disk "$point" sda "$WORK/point"
  qemu-img compare -U -q -f raw -F raw "$WORK/point" "$WORK/scsi0.raw" || fail "sda is not what the machine has"
  rm "$WORK/point"
  point_disk "$point" vdb "$WORK/point"
  qemu-img compare -U -q -f raw -F qcow2 "$WORK/point" "$WORK/virtio1.qcow2" || fail "vdb is not what the machine has"
  rm "$WORK/point"
  qmp cont > /dev/null
  expect_tidy
}

# expect_tidy   QEMU holds nothing of syncs but two bitmaps for each disk.
expect_tidy() {
  local found
  found=$(qmp query-named-block-nodes | json '[.[]."dirty-bitmaps"[]?.name | select(startswith("muletto."))] | length')
  [ "$found" -eq 4 ] || fail "$found bitmaps are left, not 4"
  found=$(qmp query-named-block-nodes | json '.[]."node-name" | select(startswith("muletto"))')
  [ -z "$found$(qmp query-jobs | json '.[].id')$(qmp query-block-exports | json '.[].id')" ] || fail "left in QEMU: $found"
  found=$(find "$STATE/scratch" "$RUN" -mindepth 1; find "$STATE/machines" -name '*.frozen' -o -name '*.server')
  [ -z "$found" ] || fail "left behind: $found"
  ! pgrep -f -- "--sync-guard.*$STATE" || fail "a guard is left"
}

require_root
require_commands qemu-img qemu-system-x86_64 jq python3 virsh swtpm swtpm_setup
require_programs muletto muletto-agent muletto-restore mulettod nbdkit-muletto-plugin.so
ensure_libvirt
printf '[boot]\ntpm_directory = "%s"\n' "$WORK/libvirt-main/lib/swtpm" > "$WORK/mulettod.toml"
start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI" --config "$WORK/mulettod.toml"
stop_background mulettod
STORE=$WORK/state/stores/default
"$SOURCE/tests/guests/build-guest" "$WORK/scsi0.raw" --hostname web --firmware uefi
qemu-img create -q -f qcow2 "$WORK/virtio1.qcow2" 64M
truncate -s 4M "$WORK/tpm.state"
swtpm_setup --tpm2 --tpmstate "file://$WORK/tpm.state" > /dev/null
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$WORK/efidisk.raw"
cat > "$WORK/101.conf" << 'CONF'
# the shop
agent: 1
args: -device something
bios: ovmf
boot: order=scsi0;ide2;net0
cores: 1
cpu: x86-64-v2-AES
efidisk0: local-lvm:vm-101-disk-1,efitype=4m,size=4M
hostpci0: 0000:01:00,pcie=1
ide2: none,media=cdrom
machine: q35
memory: 384
name: web
net0: virtio=BC:24:11:0A:0B:0C,bridge=vmbr0,firewall=1
ostype: l26
scsi0: local-lvm:vm-101-disk-0,discard=on,iothread=1,size=2G
scsihw: virtio-scsi-single
smbios1: uuid=7b10d7af-b932-4c66-b2c3-3996152ec465,manufacturer=QUNNRQ==,base64=1
sockets: 1
tpmstate0: local-lvm:vm-101-disk-3,size=4M,version=v2.0
virtio1: local:101/vm-101-disk-2.qcow2,size=64M

[before]
memory: 99999
scsi5: local-lvm:vm-101-disk-9,size=1G
CONF
cat > "$WORK/agent.toml" << TOML
libvirt_uri = ""
[machines.web]
monitor = "$WORK/101.qmp"
guest_agent = "$WORK/101.qga"
definition = "$WORK/101.conf"
tpm_state = "$WORK/tpm.state"
TOML

expect_failure 3 "no QEMU listens" agent_sync web --config "$WORK/agent.toml" --quiet
start_qemu
in_guest "head -c 3000000 /dev/urandom > /dev/vda; sync"
sync_web
expect_read "sda vdb" "first point"
[[ $(json .note < "$WORK/result") == *"hostpci0 (a passed-through device)"*"what QEMU gets by args"* \
  || $(json .note < "$WORK/result") == *"what QEMU gets by args"*"hostpci0 (a passed-through device)"* ]] \
  || fail "no word of what is missing: $(cat "$WORK/result")"
[[ $(json .note < "$WORK/result") != *TPM* && $(json .note < "$WORK/result") != *UEFI* ]] || fail "not whole: $(cat "$WORK/result")"
change
sync_web
expect_read "" ""
[ "$(json .bytes_read < "$WORK/result")" -lt 8000000 ] || fail "too much was read: $(cat "$WORK/result")"
echo "  $(json .bytes_read < "$WORK/result") bytes read, of $(json '[.disks[].size] | add' < "$WORK/result")"

echo "a guest agent that dies between freeze and thaw"
# Plays the agent: answers up to the freeze, then it is gone; with a file beside its socket it comes back and thaws.
cat > "$WORK/played.py" << 'PY'
import json, os, socket, sys
path = sys.argv[1]
frozen = died = False
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    client, _ = listener.accept()
    if died and not os.path.exists(path + ".back"):
        client.close()
        continue
    lines = client.makefile("r", encoding="latin-1")
    for line in lines:
        order = json.loads(line.lstrip("\xff"))
        name = order["execute"]
        if name == "guest-sync-delimited":
            answer = order["arguments"]["id"]
        elif name == "guest-fsfreeze-status":
            answer = "frozen" if frozen else "thawed"
        elif name == "guest-fsfreeze-thaw" and not died and not os.path.exists(path + ".back"):
            died = True
            break
        else:
            frozen = name == "guest-fsfreeze-freeze"
            answer = 1
            print(name, flush=True)
        client.sendall(("\xff" * (name == "guest-sync-delimited")).encode("latin-1") + (json.dumps({"return": answer}) + "\n").encode())
    lines.close()
    client.close()
PY
# played_sync NAME   a sync whose guest agent is the played one; the agent's words go to $WORK/NAME.log
played_sync() {
  rm -f "$WORK/played"
  start_background "$1" python3 "$WORK/played.py" "$WORK/played"
  wait_until 10 "the played agent listens" test -S "$WORK/played"
  sed "s|^guest_agent = .*|guest_agent = \"$WORK/played\"|" "$WORK/agent.toml" > "$WORK/played.toml"
  agent_sync web --config "$WORK/played.toml" --quiet > "$WORK/result" 2> "$WORK/result.err" || fail "the sync failed: $(cat "$WORK/result.err")"
  stop_background "$1"
}
began=$SECONDS
played_sync gone
[[ $(json .note < "$WORK/result") == *"may still be frozen: start the agent again"* ]] || fail "the note: $(cat "$WORK/result")"
[ $((SECONDS - began)) -ge 60 ] || fail "the thaw was not tried for a minute"
has -x guest-fsfreeze-freeze "$WORK/gone.log" || fail "it was not frozen"
[ -n "$(find "$STATE/machines" -name '*.frozen')" ] || fail "the mark for the next sync is gone"
touch "$WORK/played.back"
# The next sync thaws first, what the last one left.
played_sync back
has -x guest-fsfreeze-thaw "$WORK/back.log" || fail "it was not thawed: $(cat "$WORK/back.log")"
[[ $(json .note < "$WORK/result") != *"may still be frozen"* ]] || fail "the note: $(cat "$WORK/result")"
[ -z "$(find "$STATE/machines" -name '*.frozen')" ] || fail "the mark is left"
expect_tidy

echo "the guest runs: frozen for an instant, and the monitor is free meanwhile"
change
start_sync running web --config "$WORK/agent.toml" --full --limit 8M
exported() { qmp query-block-exports | has muletto-vdb && [ -z "$(find "$STATE/machines" -name '*.frozen')" ]; }
wait_until 60 "the exports of a sync" exported
started=${EPOCHREALTIME/./}
[ "$(qmp query-status | json .running)" = true ] || fail "the guest does not run"
[ $((${EPOCHREALTIME/./} - started)) -lt 5000000 ] || fail "the monitor was not free"
sync_outcome running || fail "the sync failed"
sed -n '/^{/,$p' "$WORK/running.log" > "$WORK/result"
[ "$(json .consistency < "$WORK/result")" = file-system ] || fail "not frozen: $(cat "$WORK/result")"
echo "  frozen for $(json .frozen_ms < "$WORK/result") ms"
expect_tidy

echo "others use QEMU"
start_background holder python3 "$WORK/client.py" "$WORK/101.qmp" qmp hold 120
sleep 1
expect_failure 4 "another one holds it" agent_sync web --config "$WORK/agent.toml" --quiet
stop_background holder
qmp drive-backup "{\"job-id\": \"theirs\", \"device\": \"drive-scsi0\", \"sync\": \"none\", \"format\": \"qcow2\", \"target\": \"$WORK/theirs.qcow2\"}" > /dev/null
expect_failure 4 "job 'theirs' .backup. is under way" agent_sync web --config "$WORK/agent.toml" --quiet
[ "$(qmp query-jobs | json '.[].id')" = theirs ] || fail "their job is gone"
qmp block-job-cancel '{"device": "theirs"}' > /dev/null
no_job() { [ "$(qmp query-jobs)" = "[]" ]; }
wait_until 20 "their job has ended" no_job
qmp nbd-server-start "{\"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"$WORK/theirs.sock\"}}}" > /dev/null
expect_failure 4 "uses the NBD server" agent_sync web --config "$WORK/agent.toml" --quiet
[ -S "$WORK/theirs.sock" ] && qmp nbd-server-stop > /dev/null || fail "their server is gone"
change
sync_web
expect_read "" ""

echo "a sync and its guard are killed; a sync is killed and its guard tidies up"
start_sync killed web --config "$WORK/agent.toml" --full --limit 8M
wait_until 60 "the exports of a sync" exported
pkill -KILL -f -- "--sync-guard.*$STATE"
kill -s KILL "$(background_pid killed)"
change
sync_web
expect_read "" ""
start_sync again web --config "$WORK/agent.toml" --full --limit 8M
wait_until 60 "the exports of a sync" exported
kill -s KILL "$(background_pid again)"
no_guard() { ! pgrep -f -- "--sync-guard.*$STATE"; }
wait_until 60 "the guard has tidied up" no_guard
expect_tidy

echo "QEMU is killed and started"
stop_background qemu KILL
start_qemu
change
sync_web
expect_read "sda vdb" "is gone: QEMU was restarted"
change
sync_web
expect_read "" ""

echo "configurations that are none"
for text in "" "scsi0: none" "scsi7: local:1,size=4G" "$(head -c 100000 /dev/urandom | base64 -w 0)"; do
  printf '%s\n' "$text" > "$WORK/bad.conf"
  sed "s/101.conf/bad.conf/" "$WORK/agent.toml" > "$WORK/bad.toml"
  ! agent_sync web --config "$WORK/bad.toml" --quiet > /dev/null 2> "$WORK/refusal" || fail "it was taken: $text"
  grep -qE "configuration is not one|has no disk scsi7" "$WORK/refusal" || fail "refused as: $(cat "$WORK/refusal")"
done

echo "the appliance boots it"
start_appliance --libvirt-uri "$LIBVIRT_DEFAULT_URI" --config "$WORK/mulettod.toml"
muletto boot check web@latest -o json > "$WORK/check" || [ $? -eq 2 ]
[ -z "$(json '.check.reasons | join("; ")' < "$WORK/check")" ] || fail "it cannot be started: $(cat "$WORK/check")"
jq -e '.check.uefi_variables and .check.tpm == "kept"' < "$WORK/check" > /dev/null || fail "not kept: $(cat "$WORK/check")"
muletto boot start web@latest --network nat --wait --http / --timeout 5m > "$WORK/started"
virsh dumpxml "$(virsh list --name | grep muletto-web)" > "$WORK/booted.xml"
for word in 'pc-q35' "bus='scsi'" "bus='virtio'" 'bc:24:11:0a:0b:0c' 'ACME' 'virtio-scsi' 'pflash' '<tpm'; do
  grep -q "$word" "$WORK/booted.xml" || fail "no $word in the instant VM: $(cat "$WORK/booted.xml")"
done
muletto boot stop web --discard --yes > /dev/null
stop_background mulettod

muletto-agent forget web --config "$WORK/agent.toml" --state-directory "$STATE" --run-directory "$RUN" > "$WORK/forgotten"
grep -q "in its memory" "$WORK/forgotten" || fail "not forgotten: $(cat "$WORK/forgotten")"
found=$(qmp query-named-block-nodes | json '[.[] | ."node-name", ."dirty-bitmaps"[]?.name | select(startswith("muletto"))] | .[]')
[ -z "$found" ] || fail "left in QEMU: $found"

echo "any QEMU, without a definition"
sed -i '/definition/d' "$WORK/agent.toml"
agent_sync web --config "$WORK/agent.toml" --quiet > "$WORK/result"
[ "$(json '[.disks[].name] | join(" ")' < "$WORK/result")" = "scsi0 virtio1" ] || fail "the disks: $(cat "$WORK/result")"
muletto-agent list --config "$WORK/agent.toml" | has "^web *running" || fail "web is not listed"
pass
