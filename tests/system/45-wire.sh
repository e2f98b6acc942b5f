#!/usr/bin/env bash
# Agent and appliance over the wire: enrolment, syncs that send each chunk once, a killed agent that resumes,
# other hosts' machines, expired, foreign and revoked certificates, peers that are none; memory of both.
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore
require_commands jq openssl python3

state=$WORK/state run=$WORK/run
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
port=$(json .port < "$run/mulettod.json")
fingerprint=$(json .fingerprint < "$run/mulettod.json")
appliance=127.0.0.1:$port

agent() {  # agent HOST COMMAND...
  local host=$1 command=$2
  shift 2
  muletto-agent "$command" "$@" --state-directory "$WORK/$host" --run-directory "$WORK/$host.run"
}
new_token() {
  muletto token create --expires 5m -o json | json .token.token
}

# ---- enrolment
expect_failure 3 "not enrolled.*token create" agent alpha sync web --image /dev/null
token=$(new_token)
zeros=$(printf '0%.0s' {1..64})
expect_failure 5 "fingerprint.*nothing was sent" agent alpha enroll "$appliance" --token "$token" --fingerprint "$zeros"
expect_failure 2 "64 hexadecimal digits" agent alpha enroll "$appliance" --token "$token" --fingerprint abc
expect_failure 5 "token is wrong" agent alpha enroll "$appliance" --token mt_wrong --fingerprint "$fingerprint"
expect_failure 6 "cannot connect" agent alpha enroll "127.0.0.1:$(free_port)" --token "$token" --fingerprint "$fingerprint"
expect_failure 2 "not a port" agent alpha enroll 127.0.0.1:99999 --token "$token" --fingerprint "$fingerprint"
plain=$(free_port)
cat > "$WORK/plain.py" <<'PY'
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
connection, _ = listener.accept()
connection.sendall(b"SSH-2.0-nothing\r\n")
time.sleep(2)
PY
start_background plain python3 "$WORK/plain.py" "$plain"
listening() {
  [ -n "$(ss -Htln "sport = :$plain")" ]
}
wait_until 10 "the plain server listens" listening
expect_failure 6 "does not speak TLS" agent alpha enroll "127.0.0.1:$plain" --token "$token" --fingerprint "$fingerprint"
[ ! -e "$WORK/alpha/enrollment.json" ] || fail "a failed enrolment left something"
# The token survived all that: nothing had reached the appliance.
agent alpha enroll "$appliance" --token "$token" --fingerprint "${fingerprint^^}" --name alpha
[ "$(stat -c %a "$WORK/alpha/enrollment.json")" = 600 ] || fail "the key is open for others"
expect_failure 4 "enrolled already" agent alpha enroll "$appliance" --token x --fingerprint "$fingerprint"
expect_failure 5 "token is wrong, expired or used" agent beta enroll "$appliance" --token "$token" --fingerprint "$fingerprint"
new_token > "$WORK/token"
agent beta enroll "$appliance" --token-file "$WORK/token" --fingerprint "$fingerprint" --name beta

# ---- a sync, measured; the disk comes back as it was
size=$((400 << 20))
head -c $size /dev/urandom > "$WORK/disk.raw"
cat > "$WORK/measure.py" <<'PY'
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
PY
sync_alpha() {
  python3 "$WORK/measure.py" "$WORK/rss" muletto-agent sync web --image "$WORK/disk.raw" --format raw -o json \
    --state-directory "$WORK/alpha" --run-directory "$WORK/alpha.run" --quiet
}
sync_alpha > "$WORK/first.json"
echo "agent: $(< "$WORK/rss") KiB; first sync: $(json .duration_ms < "$WORK/first.json") ms for $((size >> 20)) MiB"
[ "$(< "$WORK/rss")" -le 262144 ] || fail "the agent took $(< "$WORK/rss") KiB"
sent=$(json .bytes_sent < "$WORK/first.json")
[ "$sent" -ge $size ] && [ "$sent" -lt $((size + (1 << 20))) ] || fail "$sent bytes sent for $size of noise"
rm -f "$WORK/back.raw"
muletto-restore disk --store "$state/stores/default" web@latest --disk vda --to "$WORK/back.raw"
[ "$(sha256_of "$WORK/back.raw")" = "$(sha256_of "$WORK/disk.raw")" ] || fail "the disk comes back changed"

# ---- what the appliance has is never sent
sync_alpha > "$WORK/second.json"
[ "$(json .bytes_sent < "$WORK/second.json")" = 0 ] || fail "chunks sent that the appliance has"
printf 'changed' | dd of="$WORK/disk.raw" bs=1 seek=$((100 << 20)) conv=notrunc status=none
sync_alpha > "$WORK/third.json"
[ "$(json .bytes_sent < "$WORK/third.json")" -le 65536 ] || fail "more than the changed chunk was sent"

# ---- a machine belongs to one host
expect_failure 5 "web" agent beta sync web --image "$WORK/disk.raw" --format raw --quiet

# ---- an agent killed on its way resumes
head -c $size /dev/urandom > "$WORK/disk.raw"
pack_bytes() {
  du -sb "$state/stores/default" | cut -f1
}
before=$(pack_bytes)
start_background killed muletto-agent sync web --image "$WORK/disk.raw" --format raw --quiet \
  --state-directory "$WORK/alpha" --run-directory "$WORK/alpha.run"
arrived_at_least() {
  [ $(($(pack_bytes) - before)) -ge "$1" ]
}
wait_until 60 "a part arrived" arrived_at_least $((100 << 20))
stop_background killed KILL
sync_alpha > "$WORK/resumed.json"
sent=$(json .bytes_sent < "$WORK/resumed.json")
echo "after the kill $((sent >> 20)) of $((size >> 20)) MiB were sent"
[ "$sent" -le $((size - (90 << 20))) ] || fail "$sent bytes sent again after a cut"
rm -f "$WORK/back.raw"
muletto-restore disk --store "$state/stores/default" web@latest --disk vda --to "$WORK/back.raw"
[ "$(sha256_of "$WORK/back.raw")" = "$(sha256_of "$WORK/disk.raw")" ] || fail "the disk comes back changed"

# ---- certificates that are no good
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger -days 30 \
  -keyout "$WORK/stranger.key" -out "$WORK/stranger.crt" 2> /dev/null
mkdir -p "$WORK/foreign" "$WORK/expired"
jq --rawfile certificate "$WORK/stranger.crt" --rawfile key "$WORK/stranger.key" \
  '.certificate = $certificate | .key = $key' "$WORK/alpha/enrollment.json" > "$WORK/foreign/enrollment.json"
expect_failure 5 "refused this side's certificate: it was signed by a foreign authority" \
  agent foreign sync web --image "$WORK/disk.raw" --format raw --quiet
openssl req -new -key "$WORK/stranger.key" -subj /CN=late -out "$WORK/late.csr" 2> /dev/null
openssl x509 -req -in "$WORK/late.csr" -CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -days -1 \
  -set_serial 77 -out "$WORK/late.crt" 2> /dev/null
jq --rawfile certificate "$WORK/late.crt" --rawfile key "$WORK/stranger.key" \
  '.certificate = $certificate | .key = $key' "$WORK/alpha/enrollment.json" > "$WORK/expired/enrollment.json"
expect_failure 5 "certificate expired on" agent expired sync web --image "$WORK/disk.raw" --format raw --quiet

# ---- a revoked host is cut at once, in the middle of a sync
head -c $size /dev/urandom > "$WORK/disk.raw"
before=$(pack_bytes)
points=$(muletto point list --machine web -o json | json '.points | length')
start_background revoked muletto-agent sync web --image "$WORK/disk.raw" --format raw --quiet \
  --state-directory "$WORK/alpha" --run-directory "$WORK/alpha.run"
wait_until 60 "a part arrived" arrived_at_least $((50 << 20))
muletto host revoke alpha
ended() {
  ! background_alive revoked
}
wait_until 60 "the revoked host's sync ended" ended
tail -n 1 "$WORK/revoked.log"
expect_failure 5 "revoked" agent alpha sync web --image "$WORK/disk.raw" --format raw --quiet
[ "$(muletto point list --machine web -o json | json '.points | length')" = "$points" ] || fail "a revoked host committed"

rss=$(awk '/VmHWM/ {print $2}' "/proc/$(background_pid mulettod)/status")
echo "mulettod: $rss KiB"
[ "$rss" -le 262144 ] || fail "mulettod took $rss KiB"
