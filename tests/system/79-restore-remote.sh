#!/usr/bin/env bash
# muletto-restore from an appliance over the network: with an operator's token everything that it does from a store,
# with only what differs on the wire, and on after the appliance was away. Rescue codes: what they open, and what not.
# timeout: 600
. "$(dirname "$0")/lib.sh"

require_root
require_programs mulettod muletto muletto-agent muletto-restore muletto-parse
require_commands jq curl mkfs.ext4 debugfs

start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
truncate -s 64M "$WORK/web.raw" "$WORK/other.raw" "$WORK/files.raw"
head -c 40M /dev/urandom | dd of="$WORK/web.raw" bs=1M seek=8 conv=notrunc status=none
printf 'the other machine' | dd of="$WORK/other.raw" conv=notrunc status=none
mkfs.ext4 -q "$WORK/files.raw"
echo invoice > "$WORK/invoice"
debugfs -w -R "write $WORK/invoice invoice.txt" "$WORK/files.raw" 2> /dev/null
write_agent_config agent "web=$WORK/web.raw" "other=$WORK/other.raw" "files=$WORK/files.raw"
enroll_agent hv1 --config "$WORK/agent.toml" > /dev/null
for machine in web other files; do
  muletto-agent sync "$machine" --config "$WORK/agent.toml" --quiet > /dev/null
done
muletto token create --for operator -o json | json .token.token > "$WORK/token"
from=(--appliance "$(appliance_address)" --fingerprint "$(appliance_fingerprint)" --token-file "$WORK/token")
url=https://$(appliance_address)/api/v1

echo "points, a disk, a machine and files, over the network"
muletto-restore points "${from[@]}" > "$WORK/points"
[ "$(grep -c . "$WORK/points")" = 3 ] || fail "points: $(cat "$WORK/points")"
muletto-restore disk web@latest "${from[@]}" --to "$WORK/out.raw" -o json > "$WORK/result" || fail "$(cat "$WORK/result")"
cmp "$WORK/web.raw" "$WORK/out.raw"
[ "$(json .fetched < "$WORK/result")" = $((40 << 20)) ] || fail "zeros travelled: $(cat "$WORK/result")"
[ "$(json .verified < "$WORK/result")" = $((40 << 20)) ] || fail "not read back: $(cat "$WORK/result")"
muletto-restore machine web@latest "${from[@]}" --to "$WORK/machine" > /dev/null
cmp "$WORK/web.raw" "$WORK/machine/vda.img"
muletto-restore files list files@latest / "${from[@]}" | has invoice.txt || fail "the file is not listed"
muletto-restore files get files@latest /invoice.txt "${from[@]}" --to "$WORK/got" 2> /dev/null
cmp "$WORK/invoice" "$WORK/got"
job=$(muletto job list --kind fetch -o json | json '.jobs[0]')
[ "$(json .state <<< "$job")" = succeeded ] || fail "the reading is no job: $job"
json .requested_by <<< "$job" | has "token" || fail "who read is not said: $job"

echo "only what differs"
for at in 9 20 41; do
  head -c 1M /dev/urandom | dd of="$WORK/out.raw" bs=1M seek=$at conv=notrunc status=none
done
muletto-restore disk web@latest "${from[@]}" --to "$WORK/out.raw" --survey -o json > "$WORK/result"
[ "$(json .differing < "$WORK/result")" = $((3 << 20)) ] || fail "survey: $(cat "$WORK/result")"
cmp -s "$WORK/web.raw" "$WORK/out.raw" && fail "a survey wrote"
expect_failure 4 "overwrite" muletto-restore disk web@latest "${from[@]}" --to "$WORK/out.raw" --in-place
muletto-restore disk web@latest "${from[@]}" --to "$WORK/out.raw" --in-place --overwrite web -o json > "$WORK/result"
[ "$(json .fetched < "$WORK/result")" = $((3 << 20)) ] || fail "in place: $(cat "$WORK/result")"
cmp "$WORK/web.raw" "$WORK/out.raw"

echo "the appliance dies in the middle, and the restore continues when it is back"
start_background slow muletto-restore disk web@latest "${from[@]}" --to "$WORK/slow.raw" --in-place --limit 4M
enough() { [ -e "$WORK/slow.raw" ] && [ "$(stat -c %b "$WORK/slow.raw")" -gt 16384 ]; }
wait_until 60 "a part is written" enough
stop_background mulettod KILL
sleep 3
background_alive slow || fail "it gave up: $(cat "$WORK/slow.log")"
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
is_over() { ! background_alive slow; }
wait_until 120 "it ends" is_over
cmp "$WORK/web.raw" "$WORK/slow.raw"

echo "who may not, and what is no use"
expect_failure 2 "say where" muletto-restore points
expect_failure 2 "say where" muletto-restore points "${from[@]}" --store "$WORK"
expect_failure 2 "appliance" muletto-restore points --store "$WORK" --token-file "$WORK/token"
expect_failure 2 "key-file" muletto-restore points "${from[@]}" --key-file "$WORK/token"
expect_failure 2 "qemu-img convert" muletto-restore disk web@latest "${from[@]}" --to "$WORK/x" --format qcow2
[ ! -e "$WORK/x" ] || fail "something is left"
echo mt_wrong > "$WORK/wrong"
expect_failure 5 "token is wrong" muletto-restore points "${from[@]:0:4}" --token-file "$WORK/wrong"
expect_failure 5 "" muletto-restore points --appliance "$(appliance_address)" --token-file "$WORK/token" \
  --fingerprint "$(printf 'ab%.0s' {1..32})"
expect_failure 3 "nobody" muletto-restore disk nobody@latest "${from[@]}" --to "$WORK/x"
muletto tenant create acme > /dev/null
muletto token create --for operator --tenant acme -o json | json .token.token > "$WORK/acme"
muletto-restore points "${from[@]:0:4}" --token-file "$WORK/acme" > "$WORK/points"
[ ! -s "$WORK/points" ] || fail "another tenant's points: $(cat "$WORK/points")"
expect_failure 5 "tenant" muletto-restore points "${from[@]:0:4}" --token-file "$WORK/acme" --tenant default

echo "a rescue code opens the points of its machines, once, and nothing else"
expect_failure 3 "nobody" muletto rescue code nobody
muletto rescue code web -o json > "$WORK/code"
code=$(json .rescue.code < "$WORK/code")
[ "$(json .rescue.fingerprint < "$WORK/code")" = "$(appliance_fingerprint)" ] || fail "no fingerprint"
exchange() { curl -sk "$url/rescue-sessions" --data "{\"code\": \"$1\"}"; }
exchange "0000-0000-0000-0000" | has "the code is wrong" || fail "a guess is answered"
exchange "$(tr 'A-Z-' 'a-z ' <<< "$code")" > "$WORK/session"
json .rescue.token < "$WORK/session" > "$WORK/rescue" || fail "$(cat "$WORK/session")"
exchange "$code" | has "was used" || fail "the code was good twice"
rescue=("${from[@]:0:4}" --token-file "$WORK/rescue")
muletto-restore points "${rescue[@]}" > "$WORK/points"
[ "$(grep -c . "$WORK/points")" = 1 ] || fail "points of others: $(cat "$WORK/points")"
muletto-restore disk web@latest "${rescue[@]}" --to "$WORK/rescued.raw" > /dev/null
cmp "$WORK/web.raw" "$WORK/rescued.raw"
other=$(muletto point list --machine other -o json | json '.points[0].id')
for selector in "$other" "${other:0:8}" other@latest; do
  expect_failure 3 "no point that may be read" muletto-restore disk "$selector" "${rescue[@]}" --to "$WORK/x"
done
bearer="Authorization: Bearer $(cat "$WORK/rescue")"
for path in points "points/$other" "points/$other/disks/vda/raw" machines rescues status tokens jobs restores \
  "points/web@latest/disks/vda/raw"; do
  [ "$(curl -sk -H "$bearer" -o /dev/null -w '%{http_code}' "$url/$path")" = 403 ] || fail "it may see $path"
done
[ "$(curl -sk -H "$bearer" "$url/fetch/points/$other" -o /dev/null -w '%{http_code}')" = 404 ] || fail "it sees the other"
# Its reading ends with it.
start_background reader muletto-restore disk web@latest "${rescue[@]}" --to "$WORK/cut.raw" --in-place --limit 1M
begun() { [ -e "$WORK/cut.raw" ] && [ "$(stat -c %b "$WORK/cut.raw")" -gt 1024 ]; }
wait_until 60 "it reads" begun
muletto rescue list | has "in use" || fail "$(muletto rescue list)"
muletto rescue revoke "$(json .rescue.id < "$WORK/code")" > /dev/null
reader_over() { ! background_alive reader; }
wait_until 60 "it ends" reader_over
expect_failure 5 "token is wrong" muletto-restore points "${rescue[@]}"
# A code that nobody used in time, and one that a restart ended.
muletto rescue code web -o json > "$WORK/code"
stop_background mulettod
start_appliance --libvirt-uri "qemu:///system?socket=$WORK/no-libvirt"
exchange "$(json .rescue.code < "$WORK/code")" | has "expired" || fail "a restart kept the code"
[ ! -e "$WORK/x" ] || fail "something was written"
pass
