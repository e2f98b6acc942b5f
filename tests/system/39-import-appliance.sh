#!/usr/bin/env bash
# timeout: 900
# Imports into an appliance that runs: through the daemon, as a job with an end and a cancel, by root and by an
# operator of one tenant over the network; not into machines that others continue. An imported machine boots.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/import-lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh
require_programs mulettod muletto muletto-agent muletto-restore nbdkit-muletto-plugin.so
ensure_libvirt

store=$WORK/state/stores/default
cd "$WORK"
start_appliance --log-level debug
make_disk data.raw 9
"$SOURCE/tests/guests/build-guest" "$WORK/guest.img" --hostname imported
mkdir ova
for name in guest.img data.raw; do
  qemu-img convert -f raw -O vmdk -o subformat=streamOptimized $name "ova/web-${name%%.*}.vmdk"
done
write_ovf ova/web.ovf --controller ide --card VirtioNet \
  "web-guest.vmdk:$(stat -c %s guest.img)" "web-data.vmdk:$(stat -c %s data.raw)"
write_manifest ova web SHA256
pack_ova web.ova ova web.ovf web.mf web-guest.vmdk web-data.vmdk

points_of() { muletto point list --machine "$1" -o json 2> /dev/null | jq '.points | length'; }
last_job() { muletto job list --kind import -o json | json ".jobs[0].$1"; }

echo "the daemon is the only writer; the import goes through it"
expect_failure 4 "another process writes" muletto store import "$store" web.ova
muletto machine import web.ova --cpus 1 --memory 256M > import.out
grep -q "imported from OVA" import.out || fail "no note: $(cat import.out)"
[ "$(last_job state)" = succeeded ] || fail "the job is $(last_job state)"
[ "$(last_job requested_by)" = root ] || fail "the job was asked for by $(last_job requested_by)"
muletto job show "$(last_job id)" | has "committed point" || fail "the job's log does not name the point"
muletto-restore machine --store "$store" web@latest --to out > /dev/null 2>&1
cmp out/*hda.img guest.img
cmp out/*hdb.img data.raw

echo "it boots: its disk on the bus that the export says, its card with its address"
muletto boot check web@latest > check.out
muletto boot start web@latest --network nat --wait --http / --timeout 5m -o json > boot.json
curl -sf -m 30 "http://$(json '.boot.addresses[0]' < boot.json)/" | has imported || fail "the wrong page"
virsh dumpxml "$(virsh list --name | grep '^muletto-')" > domain.xml
grep -q "<target dev='hda' bus='ide'" domain.xml || fail "not on IDE: $(cat domain.xml)"
grep -q "00:50:56:ab:cd:ef" domain.xml || fail "another MAC address: $(cat domain.xml)"

echo "not into a timeline that others continue"
expect_failure 4 "runs as the instant VM" muletto machine import web.ova
muletto boot stop web --discard > /dev/null
muletto machine import web.ova > /dev/null
[ "$(points_of web)" -eq 2 ] || fail "the second import is not the machine's next point"
write_agent_config agent hosted=data.raw
enroll_agent host --config agent.toml > /dev/null
muletto-agent sync hosted --config agent.toml --quiet > /dev/null
expect_failure 4 "belongs to a host" muletto machine import web.ova --machine hosted
[ "$(points_of hosted)" -eq 1 ] || fail "an import was mixed into a host's machine"

echo "an agent captures an export, too"
muletto-agent sync exported --export web.ova --config agent.toml --quiet > sync.out
grep -q "imported from OVA" sync.out || fail "no note: $(cat sync.out)"
muletto-restore disk --store "$store" exported@latest --disk hdb --to exported.raw > /dev/null
cmp exported.raw data.raw

echo "an operator of one tenant, over the network"
muletto tenant create acme > /dev/null
muletto token create --for operator --tenant acme -o json | json .token.token > acme.token
as_acme=(--appliance "$(appliance_address)" --fingerprint "$(appliance_fingerprint)" --token-file acme.token)
muletto machine import ova/web.ovf "${as_acme[@]}" --tenant acme --machine remote > /dev/null
[ "$(muletto point list --machine remote --tenant acme -o json | jq '.points | length')" -eq 1 ] || fail "not in acme"
[ "$(points_of remote || true)" != 1 ] || fail "it is in the default tenant"
expect_failure 5 "tenant" muletto machine import web.ova "${as_acme[@]}" --tenant default --machine stolen
status=$(curl -sk -o /dev/null -w '%{http_code}' -H "Upgrade: muletto-transfer" -H "Connection: Upgrade" \
  "https://$(appliance_address)/api/v1/imports")
[ "$status" = 401 ] || fail "a stranger's import is answered with $status"
expect_failure 3 "no tenant|nobody" muletto machine import web.ova --tenant nobody

echo "cancelled, killed, and once more"
dd if=/dev/urandom of=big.raw bs=1M count=800 status=none
running_import() { [ "$(last_job subject)" = big ] && [ "$(last_job state)" = running ]; }
start_background big muletto machine import --machine big --disk vda=big.raw
wait_until 60 "the import is a running job" running_import
muletto job cancel "$(last_job id)" > /dev/null
ended() { ! background_alive big; }
wait_until 30 "the command ends" ended
grep -q "was cancelled" big.log || fail "the command says: $(cat big.log)"
[ "$(last_job state)" = cancelled ] || fail "the job is $(last_job state)"
[ "$(points_of big || true)" != 1 ] || fail "a cancelled import left a point"
start_background big muletto machine import --machine big --disk vda=big.raw
wait_until 60 "the import is a running job" running_import
stop_background big KILL
job_failed() { [ "$(last_job state)" = failed ]; }
wait_until 30 "the job of a killed command fails" job_failed
muletto machine import --machine big --disk vda=big.raw > /dev/null
[ "$(points_of big)" -eq 1 ] || fail "it has no point"
muletto-restore disk --store "$store" big@latest --disk vda --to big.out > /dev/null
cmp big.out big.raw

echo "the appliance ends while an import runs"
start_background last muletto machine import --machine last --disk vda=big.raw
stop_background mulettod
last_ended() { ! background_alive last; }
wait_until 30 "the command ends" last_ended
pass
