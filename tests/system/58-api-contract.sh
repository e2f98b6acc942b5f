#!/usr/bin/env bash
# timeout: 600
# The API is as docs/api/openapi.yaml describes it: every operation is used on an appliance that has a host, a machine,
# points, jobs, an alert, instant VMs and a test boot, and each answer is compared with its schema.
. "$(dirname "$0")/lib.sh"

require_root
require_commands qemu-img jq curl nbdkit virsh openssl oathtool
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt

# Left to other tests: connections that stop being HTTP (45-wire, 39-import-appliance, 79-restore-remote, 48-console), answers without an
# end (57-events, 77-event-socket), failbacks (65-failback), a certificate that is renewed after years (85-renewal), a Windows that was prepared (35-boot-windows), files of points (94-files),
# and a test boot's picture, which needs a machine that is not too busy (70-verify).
record_api --all-but openTransfer,openImport,fetchPoint,openConsole,renewCertificate,getVerificationPicture,streamEvents,unprepareBoot,openFiles,closeFiles,listFiles,getFile,searchFiles,compareFiles,downloadFile,downloadFolder,startFailback,getFailback,finishFailback,cancelFailback,pauseFailback,continueFailback,keepFailback,followEvents

# api METHOD PATH [BODY]   prints the answer, which must be a success.
api() {
  curl -sS --fail-with-body --unix-socket "$MULETTO_SOCKET" -X "$1" "http://muletto$2" ${3:+--data "$3"} \
    || fail "$1 $2 fails"
}
v1() {
  api "$1" "/api/v1$2" "${3:-}"
}
# refused STATUS METHOD PATH [BODY]
refused() {
  local status
  status=$(curl -s --unix-socket "$MULETTO_SOCKET" -X "$2" -o "$WORK/answer" -w '%{http_code}' "http://muletto/api/v1$3" \
    ${4:+--data "$4"})
  [ "$status" = "$1" ] || fail "$2 $3 gives $status: $(cat "$WORK/answer")"
}
# over_tls STATUS METHOD PATH BODY [OPTION...]   the same on the TLS port, as who the options of curl say.
over_tls() {
  local seen
  seen=$(curl -sk -X "$2" "https://$(appliance_address)/api/v1$3" --data "$4" -o "$WORK/answer" \
    -w '%{http_code} %{content_type}' "${@:5}")
  [ "${seen%% *}" = "$1" ] || fail "$2 $3 gives $seen: $(cat "$WORK/answer")"
  jq -nc --arg method "$2" --arg target "/api/v1$3" --arg request "$4" --argjson status "$1" --arg type "${seen#* }" \
    --rawfile body "$WORK/answer" '{$method, $target, $request, $status, $type, $body}' >> "$WORK/api-recording"
}
# done_job ANSWER   waits until the job of the answer has succeeded, prints its figures.
done_job() {
  local id
  id=$(json .job.id <<< "$1")
  muletto job follow "$id" > /dev/null
  v1 GET "/jobs/$id" | json .job.figures
}

# ---- a host with an agent, and two machines
"$SOURCE/tests/guests/build-guest" "$WORK/web.raw" --hostname web
truncate -s 8M "$WORK/empty.raw"
mkdir "$WORK/page"
echo '<!doctype html><title>Muletto</title>' > "$WORK/page/index.html"
echo 'export {};' > "$WORK/page/main-1.js"
printf '[alerts]\ncommand = "/bin/true"\n[verification]\nwatch_on = "1s"\n[page]\nfolder = "%s"\n[agents]\npackages_directory = "%s"\n' \
  "$WORK/page" "$WORK/shelf" > "$WORK/mulettod.toml"
mkdir -m 755 "$WORK/shelf"
start_appliance --config "$WORK/mulettod.toml"
write_agent_config agent "web=$WORK/web.raw" "empty=$WORK/empty.raw"
enroll_agent hv1 --config "$WORK/agent.toml"
start_background agent muletto-agent run --config "$WORK/agent.toml"
reported() { [ "$(v1 GET /hosts/hv1 | json '.host.report.machines | length')" = 2 ]; }
wait_until 20 "the agent reports" reported
done_job "$(v1 POST /machines/empty/sync)" > /dev/null
done_job "$(v1 POST /machines/web/sync)" > /dev/null
first=$(v1 GET "/points/web@latest" | json .point.id)
printf 'changed' | dd of="$WORK/web.raw" bs=1 seek=$((1 << 20)) conv=notrunc status=none
done_job "$(v1 POST /machines/web/sync)" > /dev/null

# ---- what can be seen
for path in /status /overview "/overview?tenant=default" /machines /machines/web /machines/web/traces /machines/web/checks /points "/points?machine=web" \
  "/points/$first" /policies /policies/default "/alerts?closed=true" /alert-kinds /clock /tenants /store \
  "/jobs?kind=sync&state=succeeded&limit=5" /tokens /hosts /boots; do
  v1 GET "$path" > /dev/null
done
api GET / > /dev/null
api GET /page/main-1.js > /dev/null
v1 GET "/failbacks?all=1" > /dev/null
job=$(v1 GET "/jobs?subject=web" | json '.jobs[0].id')
v1 GET "/jobs/$job/log?after=0" > /dev/null
v1 GET "/jobs/$job/log?follow=true" | tail -1 | jq -e '.job.state == "succeeded"' > /dev/null
v1 GET /events | jq -e '[.events[] | .event] | index("point-arrived") and index("job-ended")' > /dev/null
v1 GET "/points?machine=web" | jq -e ".points[0] | has(\"parent\") and .origin == null" > /dev/null
v1 GET "/points/web@latest" | jq -e ".point | has(\"parent\") and .origin == null" > /dev/null

# ---- what a host installs
echo package > "$WORK/shelf/muletto-agent_1_amd64.deb"
api GET /install | has 'sh -s -- HOST:PORT'
api GET /packages/list | has muletto-agent_1_amd64.deb
[ "$(api GET /packages/muletto-agent_1_amd64.deb)" = package ]

# ---- what can be changed
v1 PUT /machines/web/host '{"host": "hv1"}' > /dev/null
v1 PUT /machines/web/checks '{"checks": ["http:80/"]}' > /dev/null
v1 POST /machines/web/checks/relearn > /dev/null
v1 POST /machines/web/volume-keys '{"name": "root disk", "secret": "correct horse"}' > /dev/null
v1 GET /machines/web/volume-keys | jq -e '.keys | length == 1' > /dev/null
v1 DELETE "/machines/web/volume-keys/root%20disk" > /dev/null
v1 PUT /policies/gold '{"schedule": ["off"], "keep": "last 1", "protect_new": false}' > /dev/null
v1 PUT /machines/web/protection '{"wanted": true, "policy": "gold"}' > /dev/null
v1 GET /retention > /dev/null
v1 GET "/retention?policy=gold&machine=web&keep=last%201" | jq -e '.machines[0].going == 1' > /dev/null
v1 PUT "/points/$first/hold" '{"reason": "for the auditor", "until": "2100-01-01"}' > /dev/null
refused 409 DELETE "/points/$first"
v1 GET /points > /dev/null
v1 DELETE "/points/$first/hold" > /dev/null
v1 POST /retention/apply '{"machine": "web", "now": true}' | jq -e '.jobs | length == 1' > /dev/null
v1 PUT /machines/web/protection '{"wanted": false, "policy": ""}' > /dev/null
v1 DELETE /policies/gold > /dev/null
v1 POST /clock/accept > /dev/null
done_job "$(v1 POST /alert-tests)" > /dev/null
has_alert() { [ "$(v1 GET /alerts | json '.alerts | length')" -gt 0 ]; }
wait_until 20 "an unprotected machine is an alert" has_alert
alert=$(v1 GET /alerts | json '.alerts[0].id')
v1 POST "/alerts/$alert/silence" '{"for": "1h", "note": "moving"}' | jq -e '.alert.silenced.note == "moving"' > /dev/null
v1 DELETE "/alerts/$alert/silence" | jq -e '.alert.silenced == null' > /dev/null
v1 POST "/alerts/$alert/acknowledge" '{"note": "on it"}' | jq -e '.alert.acknowledged_note == "on it"' > /dev/null
v1 POST /channels '{"name": "log", "kind": "syslog", "server": "192.0.2.1", "hours": ["mon-fri 8-18"]}' > /dev/null
v1 GET /channels | jq -e '[.channels[].name] == ["command", "log"]' > /dev/null
v1 GET /channels/log > /dev/null
v1 POST /channels/log/test | jq -e '.job.kind == "alert-test"' > /dev/null
v1 DELETE /channels/log | jq -e .deleted > /dev/null
refused 400 POST /channels '{"name": "evil", "kind": "command", "program": "/bin/sh"}'
api GET /metrics | has '^muletto_info'
v1 POST /tenants '{"name": "bakery", "encrypted": true}' > /dev/null
v1 PUT /tenants/bakery '{"quota": 1073741824}' > /dev/null
v1 PUT /tenants/bakery/lock '{"days": 3}' | jq -e '.tenant.lock.days == 3' > /dev/null
v1 PUT /tenants/bakery/lock '{"days": 0}' | jq -e '.tenant.lock.next_days == 0' > /dev/null
refused 400 PUT /tenants/bakery/lock '{"days": 4000}'
refused 400 PUT /tenants/bakery/lock '{}'
refused 404 PUT /tenants/nobody/lock '{"days": 3}'
v1 POST /tenants/bakery/adopt > /dev/null
done_job "$(v1 POST /store/check '{"deep": true}')" > /dev/null
done_job "$(v1 POST /store/compact)" > /dev/null
v1 POST /store/recompute '{"forget": false}' > /dev/null
done_job "$(v1 POST /reports '{"timezone": "Europe/Rome"}')" > "$WORK/figures"
v1 GET "/reports/$(json .report < "$WORK/figures")" > /dev/null

# ---- points written out
disk=/points/web@latest/disks/vda
v1 GET "$disk/extents?offset=0&length=1048576" | jq -e '.length == 1048576' > /dev/null
sum=$(v1 GET "$disk/checksum?offset=65536&length=65536" | json .sha256)
[ "$sum" = "$(api GET "/api/v1$disk/raw?offset=65536&length=65536" | sha256sum | cut -d' ' -f1)" ] \
  || fail "a disk's checksum is not that of its bytes"
done_job "$(v1 POST /restores '{"point": "web@latest", "folder": "out"}')" | jq -e '.files | length > 0' > /dev/null
restore=$(v1 GET "/restores?machine=web" | json '.restores[0].id')
v1 GET "/restores/$restore" | jq -e '.restore.state == "succeeded"' > /dev/null
for folder in ../out .out a/b ''; do
  refused 400 POST /restores "{\"point\": \"web@latest\", \"folder\": \"$folder\"}"
done
refused 404 POST /restores '{"point": "nobody@latest", "folder": "out"}'
refused 404 POST /restores '{"point": "web@latest", "folder": "out", "disks": ["vdz"]}'
refused 400 POST /restores '{"point": "web@latest", "folder": "out", "format": "qcow2", "survey": true}'
refused 404 GET "/restores/$job"
refused 400 GET "$disk/extents?length=99999999999"
refused 404 GET /points/web@latest/disks/vdz/raw

# ---- an instant VM
v1 POST /boots/check '{"point": "web@latest"}' | jq -e .check.possible > /dev/null
boot=$(done_job "$(v1 POST /boots '{"point": "web@latest", "memory_size": 268435456, "networks": ["nat"]}')" | json .boot)
done_job "$(v1 POST "/boots/$boot/wait" '{"http": "/", "timeout": "4m"}')" > /dev/null
v1 GET /boots > /dev/null
v1 GET "/boots/$boot" | jq -e '.boot.addresses | length > 0' > /dev/null
for path in "/api/v1/boots/$boot/serial?offset=0" "/api/v1/boots/$boot/console" "/console/$boot" /assets/console.js \
  /assets/console.css /novnc/core/rfb.js; do
  api GET "$path" > /dev/null
done
api GET "/api/v1/boots/$boot/screenshot" > "$WORK/screen"
[ -s "$WORK/screen" ] || fail "no picture"
v1 POST "/boots/$boot/console/ticket" > /dev/null
v1 PUT "/boots/$boot/settings" '{"restart": "wait"}' > /dev/null
v1 POST "/boots/$boot/power" '{"action": "pause"}' > /dev/null
v1 POST "/boots/$boot/power" '{"action": "resume"}' > /dev/null
refused 404 POST "/boots/$boot/unprepare" '{}'
done_job "$(v1 POST "/boots/$boot/pull")" > /dev/null
done_job "$(v1 POST "/boots/$boot/stop" '{"keep_overlay": false}')" > /dev/null
v1 POST /boot-orders '{"groups": [["web@latest"]], "networks": ["none"], "memory_size": 268435456}' > "$WORK/order"
boot=$(done_job "$(< "$WORK/order")" | json '.boots[0].boot')
done_job "$(v1 POST "/boots/$boot/stop" '{"keep_overlay": false}')" > /dev/null

# ---- a test boot, of a disk without a system: that fails fast (70-verify has others)
done_job "$(v1 POST /verifications '{"point": "empty@latest"}')" > "$WORK/figures"
number=$(json .verification < "$WORK/figures")
v1 GET "/verifications?machine=empty&limit=10" > /dev/null
v1 GET "/verifications/$number" > /dev/null
refused 404 GET "/verifications/$number/pictures/99"
# What a person says about it.
v1 GET "/verifications/$number/explanation" > /dev/null
refused 400 PUT "/verifications/$number/correction" '{"verdict": "perhaps", "reason": "x"}'
refused 400 PUT "/verifications/$number/correction" '{"verdict": "pass"}'
refused 400 PUT "/verifications/$number/correction" '{"verdict": "pass", "reason": "x", "teach": true}'
refused 404 PUT "/verifications/999999/correction" '{"verdict": "pass", "reason": "x"}'
refused 404 DELETE "/verifications/$number/correction"
v1 PUT "/verifications/$number/correction" '{"verdict": "pass", "reason": "a try", "without_teaching": true}' > /dev/null
v1 PUT "/verifications/$number/correction" '{"verdict": "fail", "reason": "it is empty", "only_text": "bootable"}' > /dev/null
v1 GET "/verifications/$number/case" > /dev/null
rule=$(v1 GET /machines/empty/rules | json '.rules[0].number')
v1 DELETE "/machines/empty/rules/$rule" > /dev/null
refused 404 DELETE "/machines/empty/rules/$rule"
v1 DELETE "/verifications/$number/correction" > /dev/null
bisect=$(v1 POST /machines/empty/bisect | json .job.id)
v1 POST "/jobs/$bisect/cancel" > /dev/null
for path in /status /machines/web "/jobs?limit=1000"; do v1 GET "$path" > /dev/null; done

# ---- restores elsewhere
rescue=$(v1 POST /rescues '{"machines": ["web"], "minutes": 5}')
refused 404 POST /rescues '{"machines": ["nobody"]}'
refused 400 POST /rescues '{"machines": []}'
refused 403 POST /rescue-sessions '{"code": "wrong"}'
v1 POST /rescue-sessions "{\"code\": \"$(json .rescue.code <<< "$rescue")\"}" > /dev/null
v1 GET /rescues | jq -e '.rescues[0].used' > /dev/null
v1 GET "/fetch/points?machine=web" | jq -e '.points | length > 0' > /dev/null
v1 GET "/fetch/points/web@latest" | jq -e '.point.machine == "web"' > /dev/null
refused 404 GET /fetch/points/nobody@latest
refused 426 GET /fetch
v1 DELETE "/rescues/$(json .rescue.id <<< "$rescue")" > /dev/null
refused 404 DELETE /rescues/999

# ---- a restore to a host
v1 POST /restores '{"target": "host", "host": "hv1", "point": "web@latest", "in_place": true, "survey": true}' > /dev/null
refused 400 POST /restores '{"target": "host", "host": "hv1", "point": "web@latest", "folder": "/x/../y"}'
refused 400 POST /restores '{"target": "host", "host": "hv1", "point": "web@latest", "in_place": true}'
refused 400 POST /restores '{"target": "nowhere", "point": "web@latest", "folder": "out"}'
refused 404 POST /restores '{"target": "host", "host": "nobody", "point": "web@latest", "folder": "/x"}'
v1 GET /restores | jq -e '[.restores[] | select(.target.kind == "host")] | length > 0' > /dev/null

# ---- people
code=$(v1 GET /setup/code | json .code)
v1 GET /setup | jq -e .first_start > /dev/null
over_tls 401 POST /setup '{"code": "AAAA-AAAA-AAAA-AAAA", "user": "eve", "password": "a long word for it"}'
v1 POST /setup "{\"code\": \"$code\", \"user\": \"olga\", \"password\": \"a long word for it\"}" > /dev/null
refused 409 POST /setup "{\"code\": \"$code\", \"user\": \"eve\", \"password\": \"a long word for it\"}"
refused 404 GET /setup/code
v1 POST /users '{"name": "theo", "role": "technician", "password": "a long word for it", "note": "on call"}' > /dev/null
refused 409 POST /users '{"name": "theo", "role": "auditor", "password": "a long word for it"}'
refused 400 POST /users '{"name": "T h e o", "role": "auditor", "password": "a long word for it"}'
refused 400 POST /users '{"name": "nina", "role": "king", "password": "a long word for it"}'
v1 GET /users > /dev/null
v1 GET /users/theo > /dev/null
refused 404 GET /users/nobody
v1 PUT /users/theo '{"role": "auditor", "note": "audits"}' > /dev/null
refused 409 PUT /users/olga '{"disabled": true}'
v1 PUT /users/theo/password '{"password": "another long word"}' > /dev/null
key=$(v1 POST /users/theo/totp | json .totp.secret)
over_tls 401 POST /sessions '{"user": "theo", "password": "wrong"}'
refused 401 PUT /users/theo/totp '{"code": "000000"}'
v1 PUT /users/theo/totp "{\"code\": \"$(oathtool --totp -b "$key")\"}" > /dev/null
over_tls 401 POST /sessions '{"user": "theo", "password": "another long word"}'
v1 DELETE /users/theo/totp > /dev/null
jar=(-b "$WORK/jar" -c "$WORK/jar" -H "Origin: https://$(appliance_address)")
v1 POST /sessions '{"user": "theo", "password": "another long word"}' > /dev/null
over_tls 201 POST /sessions '{"user": "theo", "password": "another long word"}' "${jar[@]}"
over_tls 200 GET /sessions/current '' "${jar[@]}"
over_tls 403 DELETE /sessions/current '' -b "$WORK/jar"
over_tls 200 DELETE /sessions/current '' "${jar[@]}"
over_tls 401 GET /sessions/current '' "${jar[@]}"
v1 GET /sessions/current | jq -e '.name == "root"' > /dev/null
refused 400 DELETE /sessions/current
session=$(v1 GET /sessions | json '.sessions[0].id')
v1 DELETE "/sessions/$session" > /dev/null
refused 404 DELETE "/sessions/$session"
v1 DELETE /users/theo > /dev/null
v1 GET "/audit?limit=20" > /dev/null
v1 GET /audit/export > /dev/null
v1 POST /audit/verify | jq -e .verification.good > /dev/null
v1 POST /audit/anchor > /dev/null

# ---- hosts and tokens
stop_background agent
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=hv2 -keyout "$WORK/hv2.key" \
  -out "$WORK/hv2.csr" 2> /dev/null
token=$(v1 POST /tokens '{"expires": "5m", "note": "for hv2"}' | json .token.token)
hv2=$(v1 POST /enroll "$(jq -n --arg token "$token" --rawfile request "$WORK/hv2.csr" \
  '{$token, name: "hv2", $request, version: "1"}')")
json .certificate <<< "$hv2" > "$WORK/hv2.crt"
as_hv2=(--cert "$WORK/hv2.crt" --key "$WORK/hv2.key")
over_tls 200 POST /agent/poll '{"report": {"version": "1", "machines": [{"name": "db", "kind": "images", "running": false}]}}' \
  "${as_hv2[@]}"
over_tls 409 POST /agent/renew "$(jq -n --rawfile request "$WORK/hv2.csr" '{$request}')" "${as_hv2[@]}"
over_tls 403 POST /boots '{}' "${as_hv2[@]}"
over_tls 426 GET /transfer '' "${as_hv2[@]}"
over_tls 403 GET /imports '' "${as_hv2[@]}"
operator=$(v1 POST "/tokens?tenant=bakery" '{"kind": "operator", "expires": "never"}')
as_bakery=(-H "Authorization: Bearer $(json .token.token <<< "$operator")")
over_tls 200 GET /machines '' "${as_bakery[@]}"
over_tls 426 GET /imports '' "${as_bakery[@]}"
over_tls 403 GET '/imports?tenant=default' '' "${as_bakery[@]}"
over_tls 403 GET "/machines?tenant=default" '' "${as_bakery[@]}"
over_tls 403 POST /tenants '{"name": "mill"}' "${as_bakery[@]}"
v1 DELETE "/tokens/$(json .token.id <<< "$operator")" > /dev/null
over_tls 401 GET /machines '' "${as_bakery[@]}"
over_tls 401 GET /machines ''
refused 409 DELETE /hosts/hv2
v1 POST /hosts/hv2/revoke > /dev/null
over_tls 403 POST /agent/poll '{}' "${as_hv2[@]}"
v1 DELETE "/hosts/$(json .host.id <<< "$hv2")" > /dev/null

# ---- wrong words
for path in /machines/nobody "/points/nobody@latest" /policies/nobody /boots/nobody /hosts/nobody /jobs/999999 \
  /verifications/999999 "/points?machine=nobody" "/machines?tenant=nobody" /reports/0000000000000000; do
  refused 404 GET "$path"
done
for path in /jobs/first "/jobs?state=tired" "/jobs?limit=100000" "/retention?machine=web&keep=rubbish" /machines/%ZZ; do
  refused 400 GET "$path"
done
refused 400 POST /boots '{"point": "web@latest", "ram": 1}'
refused 400 PUT /policies/gold '{"color": "red"}'
refused 409 POST /tenants '{"name": "bakery"}'
refused 405 PATCH /machines

# ---- the end of it
done_job "$(v1 DELETE "/points/web@latest")" > /dev/null
done_job "$(v1 DELETE "/machines/web?points=true")" > /dev/null
