#!/usr/bin/env bash
# timeout: 200
# An enrolled host is in a thief's hands: nested and wrong messages on its routes, frames out of place, invented
# orders, names without end, sessions held open, a crowd of connections. Meanwhile a host of another tenant is synced
# at its speed, an instant VM starts, the daemon lives, nothing of the other tenant is seen or changed, and an alert
# names the thief. A token for one tenant opens nothing of another.
. "$(dirname "$0")/lib.sh"

require_root
require_commands curl jq python3 virsh qemu-img nbdkit sfdisk
require_programs mulettod muletto muletto-agent nbdkit-muletto-plugin.so
ensure_libvirt
start_appliance
daemon=$(background_pid mulettod)
address=$(appliance_address)

muletto tenant create victims > /dev/null
enroll_as() { # enroll_as HOST TENANT
  local token
  token=$(muletto token create --tenant "$2" -o json | json .token.token)
  muletto-agent enroll "$address" --token "$token" --fingerprint "$(appliance_fingerprint)" --name "$1" \
    --state-directory "$WORK/$1" --run-directory "$WORK/$1.run" > /dev/null
}
enroll_as thief default
enroll_as honest victims
truncate -s 8M "$WORK/disk.raw"
head -c 2M /dev/urandom | dd of="$WORK/disk.raw" bs=1M seek=4 conv=notrunc status=none
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$WORK/disk.raw"
write_agent_config honest "web=$WORK/disk.raw"
start_background honest muletto-agent run --config "$WORK/honest.toml"
wait_until 20 "the honest host's machine is known" muletto machine list --tenant victims -o json
victim() {
  muletto "$@" --tenant victims
}
sync_once() {
  victim sync start web --follow > /dev/null
}
wait_until 30 "a first sync" sync_once
# timed COMMAND...   its milliseconds.
timed() {
  local begin=${EPOCHREALTIME/./}
  "$@"
  echo $(((${EPOCHREALTIME/./} - begin) / 1000))
}
before=$(timed sync_once)
# An order waits for the agent's next poll: at once if it has just finished a sync, up to this long if not.
poll_ms=5000
point=$(victim point list -o json | json '.points[-1].id')

json .certificate < "$WORK/thief/enrollment.json" > "$WORK/thief.crt"
json .key < "$WORK/thief/enrollment.json" > "$WORK/thief.key"
attack() { # attack MODE SECONDS
  python3 "$SOURCE/tests/system/hostile_agent.py" 127.0.0.1 "${address##*:}" "$WORK/thief.crt" "$WORK/thief.key" "$@"
}
start_attack() { # start_attack MODE SECONDS
  start_background "attack-$1" python3 "$SOURCE/tests/system/hostile_agent.py" 127.0.0.1 "${address##*:}" \
    "$WORK/thief.crt" "$WORK/thief.key" "$@"
}

# ---- one after the other: what is wrong
attack polls 30
attack frames 30
attack names 10
[ "$(background_pid mulettod)" = "$daemon" ] && background_alive mulettod || fail "the daemon has ended"
[ "$(muletto machine list -o json | json '.machines | length')" -le 210 ] || fail "names came in without end"

# ---- at once: what is much
start_attack claims 25
start_attack pings 25
start_attack strangers 25
sleep 2
for i in 1 2 3; do
  during=$(timed sync_once)
  echo "a sync took $before ms before, $during ms during the attack"
  [ "$during" -lt $((before * 3 + poll_ms + 3000)) ] || fail "the honest host's sync took $during ms, not about $before"
done
victim boot start "$point" --memory 128M --cpus 1 --network none -o json > "$WORK/boot.json" || fail "no instant VM"
boot=$(json .boot.id < "$WORK/boot.json")
[ "$(victim boot show "$boot" -o json | json .boot.state)" = running ] || fail "the instant VM does not run"
for mode in claims pings strangers; do
  wait_until 40 "the attack $mode ends" eval "! background_alive attack-$mode"
  wait "$(background_pid "attack-$mode")" || fail "$mode: $(tail -n 1 "$WORK/attack-$mode.log")"
  cat "$WORK/attack-$mode.log"
done
background_alive mulettod || fail "the daemon has ended"
sync_once

# ---- who it was, and what he got
named() {
  muletto alert list -o json | jq -e '.alerts[] | select(.kind == "host-misbehaves" and .subject == "thief")'
}
wait_until 10 "an alert that names the thief" named
muletto alert list -o json | json '.alerts[] | select(.kind == "host-misbehaves") | .message'
[ "$(victim alert list -o json | json '[.alerts[] | select(.kind == "host-misbehaves")] | length')" = 0 ] \
  || fail "the honest host is accused"
[ "$(victim machine list -o json | json '[.machines[].name] | join(",")')" = web ] || fail "the victims' machines changed"
victim point show "$point" > /dev/null
[ "$(muletto machine list -o json | json '[.machines[] | select(.point_count > 0)] | length')" = 0 ] \
  || fail "the thief has made points"

# ---- a token for one tenant
muletto token create --for operator --tenant default -o json > "$WORK/token.json"
json .token.token < "$WORK/token.json" > "$WORK/operator"
[ "$(json .token.expires < "$WORK/token.json")" != null ] || fail "an operator's token lasts for ever"
status() { # status METHOD PATH
  curl -sk --noproxy '*' -X "$1" -H "Authorization: Bearer $(< "$WORK/operator")" -H 'Content-Type: application/json' \
    -o "$WORK/answer" -w '%{http_code}' "https://$address/api/v1$2" "${@:3}"
}
[ "$(status GET /machines)" = 200 ] || fail "the token opens nothing"
[ "$(status GET '/machines?tenant=victims')" = 403 ] || fail "another tenant's machines are listed"
[ "$(status DELETE "/points/$point?tenant=victims")" = 403 ] || fail "another tenant's point may be deleted"
[ "$(status GET "/boots/$boot")" = 404 ] || fail "another tenant's instant VM is shown"
[ "$(status POST "/boots/$boot/stop" -d '{"keep_overlay": false}')" = 404 ] || fail "it may be stopped"
[ "$(status GET "/boots/$boot/screenshot")" = 404 ] || fail "its screen is shown"
[ "$(status POST "/hosts/honest/revoke" -d '{}')" = 404 ] || fail "another tenant's host may be revoked"
[ "$(status POST /tenants -d '{"name": "mine"}')" = 403 ] || fail "it may make tenants"
for list in boots hosts jobs tokens tenants alerts; do
  status GET "/$list" > /dev/null
  ! grep -qE "victims|[\"']honest[\"']" "$WORK/answer" || fail "/$list shows another tenant's: $(< "$WORK/answer")"
done
job=$(victim job list -o json | json '[.jobs[] | select(.tenant == "victims")][0].id')
[ "$(status GET "/jobs/$job")" = 404 ] || fail "another tenant's job is shown"
victim boot stop "$boot" --discard --yes > /dev/null
pass
